"""The on-call file: rotas, teams, ladders, deadlines and quiet hours; refused with every problem, line and mend."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from monitor.mention.yamlfile import FileError, Section, load
from monitor.mention.yamlvalues import Problems, days_of, zone_of
from monitor.oncall.ladder import Deadlines, Ladder, Level, OnCall, Quiet
from monitor.oncall.rota import Layer, Override, Rota, Window, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

SEVERITIES = ("info", "notify", "page", "crisis")
HORIZON_S = 400 * 86_400.0
"""How far ahead the file is searched for a moment with nobody."""

SOON_S = 86_400.0
"""A calendar that ends earlier than this is refused."""

BEHIND_S = 35 * 86_400.0
"""How far back a calendar's events are read."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class OnCallFileError(ValueError):
    """An on-call file that is refused. `problems` are lines of `file:line: what is wrong; what to do`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class _Place(Struct, frozen=True):
    section: Section
    key: str | None = None


def load_oncall(path: Path, people: Collection[str] | None, now: float) -> OnCall:
    """Read an on-call file.

    Args:
        path: the file; calendars in it are relative to it.
        people: the names of recipients, who alone can be on call; None takes any name.
        now: from this moment on (seconds since the epoch) there must always be somebody.

    Raises:
        OnCallFileError: with every problem found.
    """
    try:
        top = load(path)
        top.only(["zone", "rotas", "teams", "ladders", "deadlines", "quiet", "manager"])
    except FileError as error:
        raise OnCallFileError([str(error)]) from error
    return _File(top, people, now).read()


class _File:
    def __init__(self, top: Section, people: Collection[str] | None, now: float) -> None:
        self._top, self._people, self._now = top, people, now
        self._problems = Problems()
        self._zone = "UTC"
        self._places: dict[str, Section] = {}
        self._gaps: set[str] = set()
        self.calendars: list[Path] = []

    def read(self) -> OnCall:
        zone = self._problems.attempt(lambda: zone_of(self._top))
        self._zone = zone or "UTC"
        rotas = {one.name: one for one in self._each("rotas", self._rota)}
        teams: dict[str, tuple[str, ...]] = dict(self._each("teams", self._team))
        known = {*rotas, *teams, *(self._people or ())}
        ladders = {one.name: one for one in self._each("ladders", lambda section: self._ladder(section, known))}
        oncall = OnCall(
            rotas=rotas,
            teams=teams,
            ladders=ladders,
            deadlines=self._problems.attempt(self._deadlines) or {},
            quiet=tuple(self._each("quiet", self._quiet)),
            manager=self._names(self._top, "manager", known),
            calendars=tuple(str(one) for one in self.calendars),
            gaps=frozenset(self._gaps),
        )
        if not self._problems:
            self._never_nobody(oncall)
        if self._problems:
            raise OnCallFileError(self._problems.lines)
        return oncall

    # -- rotas

    def _rota(self, section: Section) -> Rota:
        section.only(["name", "zone", "layers", "holidays", "overrides", "away", "gaps"])
        name = self._new(section)
        zone = zone_of(section) or self._zone
        layers = tuple(
            self._layer(each, zone, number) for number, each in enumerate(section.sections("layers"), start=1)
        )
        if not layers:
            raise section.error(
                "layers", f"the rota {name!r} has no layer", "add `layers:` and, below it, `- people: [...]`"
            )
        overrides = [self._override(each, zone) for each in section.sections("overrides")]
        overrides += [self._away(each, zone) for each in section.sections("away")]
        days, people = self._holidays(section)
        if section.flag("gaps", default=False):
            self._gaps.add(name)
        return Rota(
            name=name, zone=zone, layers=layers, holidays=days, on_holidays=people, overrides=tuple(overrides)
        )  # fmt: skip

    def _layer(self, section: Section, zone: str, number: int) -> Layer:
        section.only(["name", "from", "every", "hand_over", "people", "only", "calendar"])
        name = section.text("name") or f"layer {number}"
        if (calendar := section.text("calendar")) is not None:
            return Layer(name=name, events=self._calendar(section, calendar, zone))
        people = self._persons(section, "people")
        if not people:
            raise section.error("people", "the layer has nobody", "add `people: [...]`, in the order of their turns")
        every = _span(section, "every") if "every" in section else 7 * 86_400.0
        if every < 3600 or every % 3600:  # noqa: PLR2004 -- an hour
            raise section.error("every", "is no number of whole hours", "write 12h, 1d or 1w")
        hand_over = _clock(section, "hand_over") or time(9)
        first = _date(section, "from")
        if first is None:
            raise section.error(None, "the layer does not say when the first turn begins", "add `from: 2026-01-05`")
        only = section.section("only")
        start = datetime.combine(first, hand_over)
        return Layer(
            name=name, start=start, period=timedelta(seconds=every), people=people, only=_window(only) if only else None
        )

    def _calendar(self, section: Section, name: str, zone: str) -> tuple[tuple[float, float, str], ...]:
        # Every worker reads the on-call file, and iCalendar takes 30 ms to import: only who has a calendar pays for it.
        from monitor.oncall.calendar import CalendarError, read  # noqa: PLC0415

        path = section.path.parent / name
        self.calendars.append(path)
        try:
            events = read(path.read_bytes(), zone, self._now - BEHIND_S, self._now + HORIZON_S)
        except OSError as error:
            raise section.error("calendar", f"{name} cannot be read ({error.strerror})", "check the path") from error
        except CalendarError as error:
            raise section.error("calendar", f"{name}: {error}", "export it again") from error
        for _, _, person in events:
            self._known_person(section, "calendar", person)
        return events

    def _override(self, section: Section, zone: str) -> Override:
        section.only(["person", "from", "to", "why"])
        start, end = _stretch(section, zone)
        person = section.needed("person")
        self._known_person(section, "person", person)
        return Override(start=start, end=end, person=person, why=section.text("why") or "override")

    def _away(self, section: Section, zone: str) -> Override:
        section.only(["person", "from", "to", "stand_in", "why"])
        start, end = _stretch(section, zone)
        person, stand_in = section.needed("person"), section.text("stand_in")
        self._known_person(section, "person", person)
        if stand_in is not None:
            self._known_person(section, "stand_in", stand_in)
        return Override(start=start, end=end, person=stand_in, instead_of=person, why=section.text("why") or "away")

    def _holidays(self, section: Section) -> tuple[frozenset[date], tuple[str, ...]]:
        given = section.section("holidays")
        if given is None:
            return frozenset(), ()
        given.only(["days", "people"])
        days = frozenset(_day(given, item, line) for item, line in given.items("days"))
        people = self._persons(given, "people")
        if not people:
            raise given.error("people", "nobody is on call on holidays", "add `people: [...]`")
        return days, people

    # -- the others

    def _team(self, section: Section) -> tuple[str, tuple[str, ...]]:
        section.only(["name", "people"])
        name = self._new(section)
        people = self._persons(section, "people")
        if not people:
            raise section.error("people", f"the team {name!r} has nobody", "add `people: [...]`")
        return name, people

    def _ladder(self, section: Section, known: Collection[str]) -> Ladder:
        section.only(["name", "levels", "repeat", "catch_all", "manager"])
        name = self._new(section)
        levels = tuple(self._level(each, known) for each in section.sections("levels"))
        if not levels:
            raise section.error(
                "levels", f"the ladder {name!r} has no level", "add `levels:` and, below it, `- to: [...]`"
            )
        repeat = section.number("repeat", least=0) or 0.0
        if repeat != int(repeat) or repeat > 10:  # noqa: PLR2004 -- ten times is more than enough
            raise section.error("repeat", f"'repeat' is {repeat:g}", "give a whole number, 10 at most")
        return Ladder(
            name=name,
            levels=levels,
            repeat=int(repeat),
            catch_all=self._names(section, "catch_all", known),
            manager=self._names(section, "manager", known),
        )

    def _level(self, section: Section, known: Collection[str]) -> Level:
        section.only(["to", "wait", "one_by_one"])
        to = self._names(section, "to", known)
        if not to:
            raise section.error("to", "the level has nobody", "add `to: [...]`: people, rotas, teams")
        wait = _span(section, "wait") if "wait" in section else None
        return Level(to=to, wait=wait, one_by_one=section.flag("one_by_one", default=False))

    def _deadlines(self) -> dict[str, Deadlines]:
        given = self._top.section("deadlines")
        found: dict[str, Deadlines] = {}
        if given is None:
            return found
        given.only(["page", "crisis"])
        for severity in given.data:
            section = given.section(severity)
            if section is None:
                continue
            section.only(["acknowledge", "answer", "resolve"])
            found[severity] = Deadlines(
                **{key: _span(section, key) for key in ("acknowledge", "answer", "resolve") if key in section}
            )
        return found

    def _quiet(self, section: Section) -> Quiet:
        section.only(["people", "below", "days", "from", "to", "zone"])
        below = section.text("below") or "page"
        if below not in SEVERITIES:
            raise section.error("below", f"'below' is {below!r}", f"give one of {', '.join(SEVERITIES)}")
        window = Section(section.path, section.data)
        return Quiet(
            people=frozenset(self._persons(section, "people")),
            below=below,
            window=_window(window, only=False),
            zone=zone_of(section) or self._zone,
        )

    def _never_nobody(self, oncall: OnCall) -> None:
        """Refuse a file that leaves a moment with nobody."""
        for name, rota in oncall.rotas.items():
            if name in self._gaps:
                continue
            gap = next(iter(rota.gaps(self._now, self._horizon([rota]))), None)
            if gap is not None:
                mend = "close the gap, or write `gaps: true` and let a ladder's next level take over"
                self._problems.note(
                    self._places[name],
                    "name",
                    f"the rota {name!r} has nobody on call {_said(gap.start, gap.end, rota.zone)}",
                    mend,
                )
        for name, ladder in oncall.ladders.items():
            asked = [oncall.rotas[one] for level in ladder.levels for one in level.to if one in oncall.rotas]
            empty = oncall.nobody(ladder, self._now, self._horizon(asked))
            if empty is not None:
                said = _said(*empty, self._zone)
                self._problems.note(
                    self._places[name],
                    "name",
                    f"the ladder {name!r} reaches nobody {said}",
                    "add `catch_all: [...]` with a person or a team",
                )

    def _horizon(self, rotas: Iterable[Rota]) -> float:
        """Return until when there must be somebody: a calendar says nothing of what comes after its last event."""
        ends = [stop for rota in rotas for layer in rota.layers for _, stop, _ in layer.events]
        far = self._now + HORIZON_S
        return min(far, max(*ends, self._now + SOON_S)) if ends else far

    # -- helpers

    def _each(self, key: str, make: Callable[[Section], Any]) -> list[Any]:
        sections = self._problems.attempt(lambda: self._top.sections(key)) or []
        made = [self._problems.attempt(partial(make, section)) for section in sections]
        return [one for one in made if one is not None]

    def _new(self, section: Section) -> str:
        name = section.needed("name")
        if name in self._places or name in (self._people or ()):
            raise section.error(
                "name", f"{name!r} is the name of somebody or something else already", "give it another"
            )
        self._places[name] = section
        return name

    def _persons(self, section: Section, key: str) -> tuple[str, ...]:
        found = section.texts(key)
        for person, line in found:
            self._known_person(section, key, person, line)
        return tuple(person for person, _ in found)

    def _known_person(self, section: Section, key: str, person: str, line: int | None = None) -> None:
        if self._people is None or person in self._people:
            return
        raise _unknown(section, line or section.line(key), person, self._people, "is no recipient")

    def _names(self, section: Section, key: str, known: Collection[str]) -> tuple[str, ...]:
        found = []
        for name, line in self._problems.attempt(lambda: section.texts(key)) or []:
            if name not in known and self._people is not None:
                error = _unknown(section, line, name, known, "is no person, rota or team")
                self._problems.add(error)
            found.append(name)
        return tuple(found)


def _unknown(section: Section, line: int, name: str, known: Collection[str], what: str) -> FileError:
    near = get_close_matches(name, known, 1)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'nobody'}"
    return FileError(section.path, line, f"{name!r} {what}", mend)


def _span(section: Section, key: str) -> float:
    value = section.data[key]
    found = _SPAN.fullmatch(str(value).strip())
    if found is None or float(found[1]) <= 0:
        raise section.error(key, f"{key!r} is {str(value)!r}", "write 10m, 2h, 1d or 1w")
    return float(found[1]) * _UNITS[found[2]]


def _clock(section: Section, key: str) -> time | None:
    text = section.text(key)
    if text is None:
        return None
    found = _CLOCK.fullmatch(text)
    if found is None and text != "24:00":
        raise section.error(key, f"{key!r} is {text!r}", 'write a time of day in quotes, as in "09:00"')
    return time(0) if found is None else time(int(found[1]), int(found[2]))


def _day(section: Section, value: Any, line: int) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise FileError(section.path, line, f"{str(value)!r} is no date", "write it as 2026-12-25") from error


def _date(section: Section, key: str) -> date | None:
    return _day(section, section.data[key], section.line(key)) if key in section else None


def _stretch(section: Section, zone: str) -> tuple[float, float]:
    start, end = (_moment(section, key, zone) for key in ("from", "to"))
    if end <= start:
        raise section.error("to", "ends before it begins", "correct `from` or `to`")
    return start, end


def _moment(section: Section, key: str, zone: str) -> float:
    if key not in section:
        raise section.error(None, f"{key!r} is missing", f"add `{key}: 2026-12-24 18:00`")
    value = section.data[key]
    try:
        wall = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise section.error(key, f"{key!r} is {str(value)!r}", "write it as in 2026-12-24 18:00") from error
    if not isinstance(wall, datetime):
        wall = datetime.combine(wall, time(0))
    offset = getattr(value, "_yaml", {}).get("tz") if hasattr(value, "_yaml") else wall.tzinfo
    if offset is not None:
        raise section.error(key, f"{key!r} has an offset", f"write it as the clocks in {zone} show it, without one")
    return moment(datetime(*wall.timetuple()[:6]), ZoneInfo(zone))  # noqa: DTZ001 -- wall time


def _window(section: Section, *, only: bool = True) -> Window:
    if only:
        section.only(["days", "from", "to"])
    return Window(
        days=days_of(section),
        start=_clock(section, "from") or time(0),
        end=_clock(section, "to") or time(0),
    )


def _said(start: float, end: float, zone: str) -> str:
    begin, stop = (datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone)) for at in (start, end))
    return f"from {begin:%Y-%m-%d %H:%M} to {stop:%Y-%m-%d %H:%M} ({zone})"
