"""What a page says in each language: labels and sentences with places for figures. Every language has every key."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from monitor.escalation.wording import count

if TYPE_CHECKING:
    from monitor.page.readers import Language, Reader

EN = {
    "info": "INFO",
    "notify": "NOTICE",
    "page": "PAGE",
    "crisis": "CRISIS",
    "resolved": "RESOLVED",
    "dismissed": "DISMISSED",
    "merged": "MERGED",
    "assigned": "YOURS",
    "again": "AGAIN",
    "test": "TEST",
    "repeat": "(may be a repeat)",
    "why": "Why now",
    "ended": "Why",
    "forecast": "Forecast",
    "sure": "How sure",
    "cause": "Cause",
    "mood": "Mood",
    "biggest": "Biggest",
    "first": "First",
    "latest": "Latest",
    "seen": "Seen",
    "owner": "Owner",
    "incident": "Incident",
    "goes_on": "Goes on",
    "related": "With it",
    "part_of": "part of incident {id}",
    "since": "Since",
    "do": "To do",
    "act": "Act",
    "ack": "Acknowledge",
    "own": "Take it",
    "dismiss": "Dismiss",
    "read": "Read it",
    "state_acknowledged": "ACKNOWLEDGED",
    "state_answered": "ANSWERED",
    "nobody_yet": "nobody yet",
    "nobody": "nobody",
    "answered_1": "the brand has answered once",
    "answered_2": "the brand has answered twice",
    "answered_n": "the brand has answered {n} times",
    "not_answered": "nobody has answered the customers",
    "due": "answer due {at}",
    "followers": "{n} followers",
    "to": "{a} to {b}",
    "reach": "reach {n}",
    "no_details": "no details",
    "none_yet": "none yet",
    "ends_near": "ends near {n} people",
    "range": "80 %: {a} to {b}",
    "line": "viral line {n}",
    "passed": "passed",
    "near": "near {at}",
    "incident_line": "{id}, {state}, opened {at} by {rule}",
    "as_incident": "as incident {id}",
    "of_rules": "{rule} of {rules}",
    "mood_line": "{complaint} complain, {negative} are negative, {reposts} only pass it on",
    "do_pr": "Agree on one public answer and say so to the owner; answer the biggest mention first.",
    "do_manager": "Find out what happened on site, tell the owner, and do not answer in public on your own.",
    "link_why": "Why was it a false alarm?",
    "link_as": "You do this as {name}.",
    "link_press": "Nothing was done: open the link and press its button.",
    "link_done": "Done.",
    "link_used": "This link was used before.",
    "link_cycle": "The incident has begun anew since: use a newer page's link.",
    "open": "open",
    "acknowledged": "acknowledged",
    "answered": "answered",
    "backlog_headline": "{n} incident{s} while nothing could be sent, since {at}",
    "backlog_since": "{since}; decided {until}",
    "digest_headline": "{n} more page{s}, held back since {at}",
    "digest_since": "{since}; you had {pages} pages in {hours} h, so these were held until {until}",
    "more": "and {n} more",
    "test_headline": "this is a test, nothing has happened",
    "test_why": "A test page, asked for by {by}. If you read this, this channel reaches you.",
}
DE = {
    "info": "INFO",
    "notify": "HINWEIS",
    "page": "ALARM",
    "crisis": "KRISE",
    "resolved": "ERLEDIGT",
    "dismissed": "FEHLALARM",
    "merged": "VEREINT",
    "assigned": "FÜR SIE",
    "again": "ERNEUT",
    "test": "PROBE",
    "repeat": "(vielleicht doppelt)",
    "why": "Warum",
    "ended": "Warum",
    "forecast": "Prognose",
    "sure": "Sicher?",
    "cause": "Ursache",
    "mood": "Stimmung",
    "biggest": "Größte",
    "first": "Erste",
    "latest": "Neueste",
    "seen": "Gesehen",
    "owner": "Bei",
    "incident": "Vorfall",
    "goes_on": "Weiter",
    "related": "Dazu",
    "part_of": "Teil des Vorfalls {id}",
    "since": "Seit",
    "do": "Zu tun",
    "act": "Handeln",
    "ack": "Bestätigen",
    "own": "Übernehmen",
    "dismiss": "Fehlalarm",
    "read": "Lesen",
    "state_acknowledged": "BESTÄTIGT",
    "state_answered": "BEANTWORTET",
    "nobody_yet": "noch niemand",
    "nobody": "niemand",
    "answered_1": "die Marke hat einmal geantwortet",
    "answered_2": "die Marke hat zweimal geantwortet",
    "answered_n": "die Marke hat {n} Mal geantwortet",
    "not_answered": "den Kunden hat niemand geantwortet",
    "due": "Antwort fällig {at}",
    "followers": "{n} Follower",
    "to": "{a} bis {b}",
    "reach": "Reichweite {n}",
    "no_details": "keine Einzelheiten",
    "none_yet": "noch keine",
    "ends_near": "endet bei etwa {n} Personen",
    "range": "80 %: {a} bis {b}",
    "line": "viral ab {n}",
    "passed": "überschritten",
    "near": "etwa {at}",
    "incident_line": "{id}, {state}, eröffnet {at} durch {rule}",
    "as_incident": "als Vorfall {id}",
    "of_rules": "{rule} aus {rules}",
    "mood_line": "{complaint} beschweren sich, {negative} sind negativ, {reposts} teilen nur",
    "do_pr": "Eine öffentliche Antwort abstimmen und sie zusagen; zuerst auf die größte Meldung antworten.",
    "do_manager": "Klären, was vor Ort geschah, und es weitergeben; nicht auf eigene Faust öffentlich antworten.",
    "link_why": "Warum war es ein Fehlalarm?",
    "link_as": "Sie tun dies als {name}.",
    "link_press": "Es wurde nichts getan: den Link öffnen und den Knopf drücken.",
    "link_done": "Erledigt.",
    "link_used": "Dieser Link wurde schon benutzt.",
    "link_cycle": "Der Vorfall hat seither neu begonnen: bitte den Link einer neueren Meldung benutzen.",
    "open": "offen",
    "acknowledged": "bestätigt",
    "answered": "beantwortet",
    "backlog_headline": "{n} Vorf{s}, während nichts gesendet werden konnte, seit {at}",
    "backlog_since": "{since}; entschieden {until}",
    "digest_headline": "{n} weitere Meldung{s}, zurückgehalten seit {at}",
    "digest_since": "{since}; es waren schon {pages} Alarme in {hours} h, daher zurückgehalten bis {until}",
    "more": "und {n} weitere",
    "test_headline": "nur eine Probe, es ist nichts geschehen",
    "test_why": "Eine Probe, veranlasst von {by}. Wer das liest, ist auf diesem Weg erreichbar.",
}
_WORDS: dict[str, dict[str, str]] = {"en": EN, "de": DE}
_PLURALS = {
    "en": {"backlog_headline": ("", "s"), "digest_headline": ("", "s")},
    "de": {"backlog_headline": ("all", "älle"), "digest_headline": ("", "en")},
}


def say(reader: Reader, key: str, **values: object) -> str:
    """Return a sentence or label in the reader's language.

    >>> from monitor.page.readers import Reader
    >>> say(Reader(language="de"), "followers", n=number(84_000, "de"))
    '84.000 Follower'
    """
    return _WORDS[reader.language][key].format(**values) if values else _WORDS[reader.language][key]


def plural(reader: Reader, key: str, n: int, **values: object) -> str:
    """Return a sentence about `n` things."""
    return say(reader, key, n=n, s=_PLURALS[reader.language][key][n != 1], **values)


def number(value: float, language: Language) -> str:
    """Return a count as the language writes it.

    >>> number(12_345, "de"), number(0.04, "de")
    ('12.345', 'unter 0,1')
    """
    text = count(value)
    return text.translate(str.maketrans(",.", ".,")).replace("under", "unter") if language == "de" else text


def share(value: float | None) -> str:
    """Return a share in percent."""
    return "? %" if value is None else f"{100 * value:.0f} %"


def clock(moment: str, zone: str = "UTC") -> str:
    """Return an ISO time (UTC) as a person in `zone` reads it.

    >>> clock("2030-03-17T17:46:40Z"), clock("2030-07-17T17:46:40Z", "Europe/Berlin")
    ('2030-03-17 17:46 UTC', '2030-07-17 19:46 CEST')
    """
    if zone == "UTC":
        return f"{moment[:10]} {moment[11:16]} UTC"
    there = datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(_zone(zone))
    return f"{there:%Y-%m-%d %H:%M} {there.tzname()}"


def hour(moment: str, zone: str = "UTC") -> str:
    """Return only hours and minutes of a moment.

    >>> hour("2030-03-17T17:46:40Z")
    '17:46'
    """
    return clock(moment, zone)[11:16]


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
