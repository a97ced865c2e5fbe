"""Rotas to and from iCalendar (RFC 5545): what people look at in their own calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2s
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import Calendar, Event

from monitor.oncall.rota import joined, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.oncall.rota import Rota, Shift

MOST_EVENTS = 10_000
PREFIXES = ("on call:", "on-call:", "oncall:")


class CalendarError(ValueError):
    """A calendar that cannot be read as shifts; the text says what to do."""


def export(rota: Rota, start: float, end: float, *, stamp: float) -> bytes:
    """Return the shifts from `start` to `end` as an iCalendar, one event each; moments in UTC."""
    calendar = Calendar()
    calendar.add("prodid", "-//Mention Monitor//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"On call: {rota.name}")
    for shift in joined(rota.shifts(start, end)):
        if shift.person is not None:
            calendar.add_component(_event(rota, shift, stamp))
    return bytes(calendar.to_ical())


def _event(rota: Rota, shift: Shift, stamp: float) -> Event:
    event = Event()
    name = f"{rota.name}:{shift.person}:{shift.start:.0f}".encode()
    event.add("uid", f"{blake2s(name, digest_size=12).hexdigest()}@mention-monitor")
    event.add("dtstamp", datetime.fromtimestamp(stamp, UTC))
    event.add("dtstart", datetime.fromtimestamp(shift.start, UTC))
    event.add("dtend", datetime.fromtimestamp(shift.end, UTC))
    event.add("summary", f"On call: {shift.person}")
    event.add("description", f"{rota.name}, by {shift.by}")
    return event


def read(data: bytes, zone: str, start: float, end: float) -> tuple[tuple[float, float, str], ...]:
    """Return the shifts in a calendar between `start` and `end`: (from, to, person), in order.

    The person is the event's summary, without "On call:". Events of whole days, and times without a zone, are wall time
    in `zone`. Repeating events (RRULE, EXDATE, and single ones that are moved) are taken one by one; what is cancelled
    does not count.

    Raises:
        CalendarError: it is no calendar, or an event has no person or no time.
    """
    try:
        calendar: Any = Calendar.from_ical(data)
    except ValueError as error:
        raise CalendarError(f"it is no iCalendar ({str(error)[:80]})") from error
    events: list[Any] = [part for part in calendar.walk("VEVENT") if str(part.get("status", "")).upper() != "CANCELLED"]
    moved = {(str(part.get("uid")), _at(part["recurrence-id"].dt, zone)) for part in events if "recurrence-id" in part}
    found: list[tuple[float, float, str]] = []
    for part in events:
        person = _person(part)
        for begin, stop in _times(part, zone, start, end, moved):
            if stop > start and begin < end:
                found.append((begin, stop, person))
            if len(found) > MOST_EVENTS:
                raise CalendarError(f"it has more than {MOST_EVENTS} shifts; export fewer")
    return tuple(sorted(found))


def _person(part: Any) -> str:
    said = str(part.get("summary", "")).strip()
    for prefix in PREFIXES:
        if said.lower().startswith(prefix):
            said = said[len(prefix) :].strip()
    if not said:
        raise CalendarError("an event has no summary; write the person's name there")
    return said


def _times(
    part: Any, zone: str, start: float, end: float, moved: set[tuple[str, float]]
) -> Iterator[tuple[float, float]]:
    if "dtstart" not in part:
        raise CalendarError(f"the event {_person(part)!r} has no beginning; give it DTSTART")
    first = part["dtstart"].dt
    length = _length(part, first, zone)
    if "rrule" not in part:
        yield _at(first, zone), _ends(first, length, zone)
        return
    # Wall time is expanded and then made moments, so that a shift keeps its hour when the clocks change.
    own = first.tzinfo if isinstance(first, datetime) and first.tzinfo is not None else ZoneInfo(zone)
    begins, ends = (datetime.fromtimestamp(at, UTC).astimezone(own).replace(tzinfo=None) for at in (start, end))
    dropped = {_at(each.dt, zone) for each in _exdates(part)}
    rule = _rule(part, _wall(first), own)
    for wall in rule.between(begins - length - timedelta(days=1), ends + timedelta(days=1), inc=True):
        occurrence = wall.replace(tzinfo=own) if isinstance(first, datetime) else wall.date()
        at = _at(occurrence, zone)
        if at not in dropped and (str(part.get("uid")), at) not in moved:
            yield at, _ends(occurrence, length, zone)


def _length(part: Any, first: date | datetime, zone: str) -> timedelta:
    """Return how long an event lasts: in days of the calendar if it is of whole days."""
    if "duration" in part:
        length: timedelta = part["duration"].dt
    elif "dtend" not in part:
        length = timedelta(0) if isinstance(first, datetime) else timedelta(days=1)
    elif isinstance(first, datetime):
        length = timedelta(seconds=_at(part["dtend"].dt, zone) - _at(first, zone))
    else:
        length = _wall(part["dtend"].dt) - _wall(first)
    if length <= timedelta(0):
        raise CalendarError(f"the event {_person(part)!r} ends before it begins; correct DTEND")
    return length


def _ends(first: date | datetime, length: timedelta, zone: str) -> float:
    return _at(first, zone) + length.total_seconds() if isinstance(first, datetime) else _at(first + length, zone)


def _rule(part: Any, wall: datetime, own: Any) -> Any:
    text = part["rrule"].to_ical().decode()
    # UNTIL is in UTC where the beginning has a zone; the rule is expanded in wall time.
    parts = []
    for one in text.split(";"):
        key, _, value = one.partition("=")
        if key == "UNTIL" and value.endswith("Z"):
            until = datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(own)
            value = until.strftime("%Y%m%dT%H%M%S")
        parts.append(f"{key}={value}")
    return rrulestr(";".join(parts), dtstart=wall)


def _exdates(part: Any) -> Sequence[Any]:
    given = part.get("exdate", [])
    return [each for one in (given if isinstance(given, list) else [given]) for each in one.dts]


def _wall(value: date | datetime) -> datetime:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time(0))


def _at(value: date | datetime, zone: str) -> float:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.timestamp()
    return moment(_wall(value), ZoneInfo(zone))
