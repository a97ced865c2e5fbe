"""What a page says to one reader, as labelled parts with their weight; each channel lays them out its own way.

From the same facts operations read the figures, PR what is said and how it is meant, a manager what to do on site.
Texts in here are printable, and strangers' words: a channel escapes them for its own markup. What a channel has no
room for is dropped by weight, the least important part first, and never in the middle of a figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from monitor.escalation.wording import HARDLY
from monitor.mention.text import safe, shorten
from monitor.page.readers import Reader
from monitor.page.words import clock, hour, number, plural, say, share

if TYPE_CHECKING:
    from monitor.page.types import Page

MAX_HEADLINE = 120
BACKLOG_ROWS = 8
OVER = frozenset({"resolved", "dismissed", "merged"})
MANY = frozenset({"backlog", "digest"})
_STATES = frozenset({"acknowledged", "answered"})
_SHORT_QUOTE = 140
_PARTS = 3
_PLAIN_READER = Reader()


class Said(Struct, frozen=True):
    """A real mention on a page."""

    text: str
    who: str
    url: str | None = None


class Part(Struct, frozen=True):
    """One labelled part. `weight`: what has less is dropped first; `lines`: at most so many on a terminal."""

    name: str
    label: str
    text: str
    weight: int
    lines: int = 2
    quote: Said | None = None


class Link(Struct, frozen=True):
    """Where to act on a page: `name` is ack, own or dismiss."""

    name: str
    label: str
    url: str


class Content(Struct, frozen=True):
    """A page, composed: the headline is always kept, parts stand in the order in which they are read."""

    headline: str
    parts: tuple[Part, ...]
    links: tuple[Link, ...] = ()
    severity: str = "page"
    over: bool = False


def compose(page: Page, reader: Reader = _PLAIN_READER, links: tuple[Link, ...] = ()) -> Content:
    """Return what the page says to this reader."""
    facts = page.facts
    about = facts.get("about")
    if page.purpose in MANY:
        parts = _many(page, reader)
    elif page.purpose == "test":
        parts = [Part("why", say(reader, "why"), say(reader, "test_why", by=facts.get("by") or "?"), 10)]
    elif about in OVER:
        parts = _over(facts, reader)
    else:
        parts = _story(page, reader)
    return Content(headline(page, reader), tuple(parts), links, page.severity, over=about in OVER)


def headline(page: Page, reader: Reader = _PLAIN_READER) -> str:
    """Return the page in one line of at most 120 characters: how bad, whose, what."""
    facts = page.facts
    mark = f" {say(reader, 'repeat')}" if page.may_be_repeat else ""
    room = MAX_HEADLINE - len(mark)
    if page.purpose in MANY:
        rows = facts["incidents"]
        what = plural(reader, f"{page.purpose}_headline", len(rows), at=clock(facts["since"], reader.zone))
        return safe(f"{say(reader, page.severity)} {what}", room) + mark
    if page.purpose == "test":
        return safe(f"{say(reader, 'test')} Mention Monitor: {say(reader, 'test_headline')}", room) + mark
    about = facts.get("about", "")
    word = say(reader, about if about in OVER or about == "assigned" else page.severity)
    if about == "reopened":
        word += f" {say(reader, 'again')}"
    return safe(f"{word} {facts['brand']}: {facts['headline']}", room) + mark


def status(page: Page, reader: Reader) -> str | None:
    """Return the word for an incident that somebody has taken on, for messages that follow it; None while open."""
    state = (page.facts.get("incident") or {}).get("state")
    return say(reader, f"state_{state}") if state in _STATES else None


def fitted(content: Content, room: int, *, per_part: int = 4) -> Content:
    """Return the content with what fits into `room` characters, headline and links apart.

    Quotes are shortened first, then the parts of least weight go, and what is left at last is cut at a word.
    `per_part` characters are reckoned for each part beside its label and text.
    """
    parts = list(content.parts)
    if _size(parts, per_part) > room:
        parts = [structs.replace(part, quote=_shorter(part.quote)) if part.quote else part for part in parts]
        parts = [_requoted(part) for part in parts]
    while len(parts) > 1 and _size(parts, per_part) > room:
        parts.remove(min(parts, key=lambda part: part.weight))
    if parts and _size(parts, per_part) > room:
        (last,) = parts
        left = max(1, room - per_part - len(last.label))
        parts = [structs.replace(last, text=shorten(last.text, left))]
    return structs.replace(content, parts=tuple(parts))


def plain(content: Content, limit: int) -> str:
    """Return the page as plain text of at most `limit` characters: headline, parts, links."""
    links = [f"{link.label}: {link.url}" for link in content.links]
    while links and len("\n".join(links)) + len(content.headline) + 80 > limit:
        links.pop()  # acknowledging comes first and goes last
    foot = "\n\n" + "\n".join(links) if links else ""
    room = limit - len(content.headline) - len(foot) - 2
    parts = fitted(content, room).parts if room > _SHORT_QUOTE // 2 else ()
    body = "\n".join(f"{part.label}: {part.text}" for part in parts)
    return shorten_lines(f"{content.headline}\n\n{body}" if body else content.headline, limit - len(foot)) + foot


def shorten_lines(text: str, limit: int) -> str:
    """Cut a text of several lines to at most `limit` characters, and say so with an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def _size(parts: list[Part], per_part: int) -> int:
    return sum(len(part.label) + len(part.text) + per_part for part in parts)


def _shorter(quote: Said) -> Said:
    return structs.replace(quote, text=shorten(quote.text, _SHORT_QUOTE) if quote.text else "")


def _requoted(part: Part) -> Part:
    return structs.replace(part, text=f"{part.quote.who}: {part.quote.text}") if part.quote else part


def _story(page: Page, reader: Reader) -> list[Part]:
    """Return the parts of a page about a story or a wave that is going on, in the order of the reader's role."""
    facts = page.facts
    found = {
        "why": Part("why", say(reader, "why"), _why(page, reader), 10, 4),
        "do": Part("do", say(reader, "do"), "" if reader.role == "operations" else say(reader, f"do_{reader.role}"), 9),
        "forecast": Part("forecast", say(reader, "forecast"), _forecast(facts.get("forecast"), reader), 7),
        "sure": Part("sure", say(reader, "sure"), _sure(facts, reader), 6),
        "cause": Part("cause", say(reader, "cause"), (facts.get("cause") or "").replace("_", " "), 5, 1),
        "mood": Part("mood", say(reader, "mood"), _mood(facts.get("mood"), reader), 4, 1),
        "seen": Part("seen", say(reader, "seen"), _seen(facts, reader), 2),
        "owner": Part("owner", say(reader, "owner"), _owner(facts, reader), 9),
        "related": Part("related", say(reader, "related"), _related(facts.get("related"), reader), 5),
        "incident": Part("incident", say(reader, "incident"), _incident(facts, reader), 1),
    }
    quotes = [_quote(quote, reader) for quote in facts.get("quotes", ())]
    order = {
        "operations": ("why", "forecast", "sure", "cause", "quotes", "seen", "related", "owner", "incident"),
        "pr": ("why", "mood", "quotes", "do", "owner", "forecast", "sure", "cause", "seen", "related", "incident"),
        "manager": ("why", "do", "cause", "quotes", "related", "owner", "sure", "incident"),
    }[reader.role]
    parts: list[Part] = []
    for name in order:
        parts += quotes if name == "quotes" else [found[name]] if found[name].text else []
    return parts


def _over(facts: dict[str, Any], reader: Reader) -> list[Part]:
    """Return the parts of a notice that an incident is over."""
    incident = facts["incident"]
    parts = [Part("why", say(reader, "ended"), facts["reason"], 10, 4)]
    if incident.get("merged_into"):
        text = say(reader, "as_incident", id=incident["merged_into"])
        parts.append(Part("goes_on", say(reader, "goes_on"), text, 8, 1))
    parts.append(Part("owner", say(reader, "owner"), facts.get("owner") or say(reader, "nobody"), 9, 1))
    return [*parts, Part("incident", say(reader, "incident"), _incident(facts, reader), 1)]


def _many(page: Page, reader: Reader) -> list[Part]:
    """Return the parts of the one page that stands for many."""
    facts = page.facts
    times = {"since": clock(facts["since"], reader.zone), "until": clock(facts["until"], reader.zone)}
    limits = {name: facts[name] for name in ("pages", "hours") if name in facts}
    parts = [Part("since", say(reader, "since"), say(reader, f"{page.purpose}_since", **times, **limits), 10)]
    rows = facts["incidents"]
    for place, row in enumerate(rows[:BACKLOG_ROWS]):
        text = f"{row['brand']}: {row['headline']} ({row['reason']})"
        parts.append(Part(f"row{place}", say(reader, row.get("about") or row["severity"]), text, 9 - place))
    if len(rows) > BACKLOG_ROWS:
        parts.append(Part("more", "", say(reader, "more", n=len(rows) - BACKLOG_ROWS), 9, 1))
    return parts


def _why(page: Page, reader: Reader) -> str:
    """Return why now: the rules' own sentence in English, else the same from the figures."""
    facts = page.facts
    if reader.language == "en":
        return str(facts["reason"])
    parts = [_german_turn(page)]
    if (forecast := facts.get("forecast")) is not None:
        pace = _n(forecast.get("per_hour"), reader)
        expected = forecast.get("expected_per_hour")
        usual = f" (üblich {_n(expected, reader)})" if expected else ""  # 0: nothing is known of it
        voices = _n(forecast.get("voices"), reader)
        parts.append(f"{voices} Personen, {pace} Meldungen je Stunde{usual}")
        if forecast.get("p_viral") is not None and forecast.get("line") is not None:
            always = round(forecast.get("usual") or 0)
            beyond = f" über die üblichen {_n(always, reader)} hinaus" if always else ""
            parts.append(f"zu {share(forecast['p_viral'])} wird {_n(forecast['line'], reader)}{beyond} überschritten")
    if (wave := facts.get("wave")) is not None:
        parts.append(_german_wave(wave, reader))
    if (budget := facts.get("budget")) is not None:
        span = {"hour": "einer Stunde", "6 h": "6 h", "3 days": "3 Tagen"}.get(budget["window"], "?")
        parts.append(
            f"{_n(budget['people'], reader)} Personen in {span}, {_n(budget['burn'], reader)}-mal so viel, wie das "
            f"Budget erlaubt ({_n(budget['allowed'], reader)} in 4 Wochen)"
        )
    if (together := facts.get("together")) is not None:
        each = ", ".join(f"{brand} ({_n(people, reader)} Personen)" for brand, people in together["brands"])
        parts.append(f"{len(together['brands'])} Marken zugleich: {each}")
    return "; ".join(part for part in parts if part) or str(facts["reason"])


def _german_wave(wave: dict[str, Any], reader: Reader) -> str:
    """Return in German how many complaints there are beside what is usual, as far as that is known."""
    window = f"{(wave.get('window_s') or 0) / 3600:.0f} h"
    found = f"{_n(wave.get('observed'), reader)} Beschwerden in {window}"
    if not wave.get("confident", True):
        return f"{found} (was üblich ist, ist noch nicht bekannt)"
    expected = wave.get("expected")
    if expected is not None and expected < HARDLY:
        return f"{found}, üblich sind fast keine"
    return f"{found}, üblich {_n(expected, reader)} (höchstens {_n(wave.get('high'), reader)})"


def _german_turn(page: Page) -> str:
    """Return in German what brought this page about, beside the figures."""
    about = page.facts.get("about")
    if about == "overdue":
        if page.purpose != "deadline":
            return "Noch niemand hat bestätigt"
        level = page.key.split(":")[3:4]
        return "Noch nicht erledigt" if level == ["1"] else "Der Kunde wartet noch auf Antwort"
    return {"assigned": "Übergeben an Sie" if page.purpose == "notice" else "Zum wiederholten Mal weitergereicht"}.get(
        str(about), ""
    )


def _sure(facts: dict[str, Any], reader: Reader) -> str:
    if reader.language == "en":
        return str(facts.get("how_sure") or "")
    parts = []
    if (forecast := facts.get("forecast")) is not None and forecast.get("p_viral") is not None:
        parts.append(f"{share(forecast['p_viral'])} laut Prognose")
        if forecast.get("q10") is not None and forecast.get("q90") is not None:
            parts.append(f"am Ende {_n(forecast['q10'], reader)} bis {_n(forecast['q90'], reader)} Personen")
    if (wave := facts.get("wave")) is not None:
        if wave.get("confident", True):
            low, high = (None if end is None else round(end) for end in (wave.get("low"), wave.get("high")))
            parts.append(f"üblich sind hier {_n(low, reader)} bis {_n(high, reader)}")
        else:
            parts.append("was hier üblich ist, ist noch nicht bekannt")
    unread = (facts.get("mood") or {}).get("unread")
    if unread is not None and unread > 0.2:  # noqa: PLR2004 -- as in the facts
        parts.append(f"{share(unread)} waren nicht lesbar")
    return "; ".join(parts)


def _forecast(forecast: dict[str, Any] | None, reader: Reader) -> str:
    """Return the forecast with its interval."""
    if forecast is None:
        return ""
    if forecast["q50"] is None:
        return say(reader, "none_yet")
    text = say(reader, "ends_near", n=_n(forecast["q50"], reader))
    if forecast["q10"] is not None and forecast["q90"] is not None:
        text += f" ({say(reader, 'range', a=_n(forecast['q10'], reader), b=_n(forecast['q90'], reader))})"
    if forecast["line"] is not None:
        text += f"; {say(reader, 'line', n=_n(forecast['line'], reader))}"
        if forecast["crossed"]:
            text += f", {say(reader, 'passed')}"
        elif forecast["viral_at"] is not None:
            text += f", {say(reader, 'near', at=clock(forecast['viral_at'], reader.zone))}"
    return text


def _mood(mood: dict[str, Any] | None, reader: Reader) -> str:
    if mood is None:
        return ""
    shares = {name: share(mood.get(name)) for name in ("complaint", "negative", "reposts")}
    return say(reader, "mood_line", **shares)


def _quote(quote: dict[str, Any], reader: Reader) -> Part:
    """Return a real mention as a part."""
    known = quote["followers"]
    followers = "" if known is None else f" ({say(reader, 'followers', n=number(known, reader.language))})"
    who = f"{quote['author']}{followers}, {hour(quote['published_at'], reader.zone)}"
    weight = {"biggest": 8, "first": 4, "latest": 3}.get(quote["role"], 3)
    said = Said(quote["text"], who, quote.get("url"))
    return Part(quote["role"], say(reader, quote["role"]), f"{who}: {quote['text']}", weight, quote=said)


def _seen(facts: dict[str, Any], reader: Reader) -> str:
    """Return when and where it was seen."""
    parts = []
    if facts.get("first_at"):
        first, last = clock(facts["first_at"], reader.zone), clock(facts["last_at"], reader.zone)
        parts.append(say(reader, "to", a=first, b=last))
    forecast = facts.get("forecast") or {}
    if forecast.get("reach"):
        parts.append(say(reader, "reach", n=_n(forecast["reach"], reader)))
    parts += [f"{name} {number(times, reader.language)}" for name, times in facts.get("sources", ())]
    return ", ".join(parts) or say(reader, "no_details")


def _owner(facts: dict[str, Any], reader: Reader) -> str:
    """Return whose it is, whether the customers were answered, and until when they have to be."""
    answers = facts.get("own_replies") or 0
    owner = facts.get("owner") or say(reader, "nobody_yet")
    said = _times(answers, reader) if answers else say(reader, "not_answered")
    due = f"; {say(reader, 'due', at=clock(facts['deadline'], reader.zone))}" if facts.get("deadline") else ""
    return f"{owner}{due}; {said}"


def _related(related: dict[str, Any] | None, reader: Reader) -> str:
    """Return what belongs together with it: the incident that it is a part of, or its own parts."""
    if related is None:
        return ""
    if related["parent"]:
        return say(reader, "part_of", id=related["parent"])
    parts = [f"{part['brand']}: {part['headline']}" for part in related["parts"][:_PARTS]]
    more = related["number"] - len(parts)
    return "; ".join(parts + ([say(reader, "more", n=more)] if more > 0 else []))


def _times(answers: int, reader: Reader) -> str:
    return say(reader, f"answered_{answers}") if answers in {1, 2} else say(reader, "answered_n", n=answers)


def _incident(facts: dict[str, Any], reader: Reader) -> str:
    """Return the line to find the incident by."""
    row = facts["incident"]
    state = say(reader, row["state"]) if reader.language != "en" else row["state"]
    state = state.lower()
    rule = say(reader, "of_rules", rule=row["rule"], rules=row["rules"]) if row["rules"] else row["rule"]
    return say(reader, "incident_line", id=row["id"], state=state, at=clock(row["opened_at"], reader.zone), rule=rule)


def _n(value: float | None, reader: Reader) -> str:
    return "?" if value is None else number(value, reader.language)
