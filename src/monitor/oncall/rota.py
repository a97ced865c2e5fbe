"""Rotas: who is on call at a moment, and the shifts of a stretch of time. Pure; times are seconds since the epoch.

A rota has layers; of those that have somebody the last counts. Over the layers stand its holidays, over these its
overrides (the last of those that apply). Hand-overs are wall-clock times in the rota's zone: a week from Monday 09:00
ends on Monday 09:00, also when the clocks have changed in between. A wall-clock time that the spring night skips is the
moment at which the clocks go forward plus what was skipped; one that the autumn night has twice is its first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAY = timedelta(days=1)
MOST_SHIFTS = 100_000


class Window(Struct, frozen=True, kw_only=True):
    """When a layer counts: on these days (1 is Monday), from `start` to `end` (past midnight if `end` is not later).

    A night belongs to the day on which it begins.
    """

    days: frozenset[int] = frozenset(range(1, 8))
    start: time = time(0)
    end: time = time(0)

    def around(self, day: date, zone: ZoneInfo) -> tuple[float, float] | None:
        """Return from when to when it counts on the day `day`; None if it does not."""
        if day.isoweekday() not in self.days:
            return None
        last = day if self.end > self.start else day + DAY
        return moment(datetime.combine(day, self.start), zone), moment(datetime.combine(last, self.end), zone)


class Layer(Struct, frozen=True, kw_only=True):
    """People who follow each other: the first begins at `start` (wall time), each has `period`.

    `events` are shifts from a calendar instead: (from, to, person).
    """

    name: str
    start: datetime = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall time, the zone is the rota's
    period: timedelta = timedelta(days=7)
    people: tuple[str, ...] = ()
    only: Window | None = None
    events: tuple[tuple[float, float, str], ...] = ()


class Override(Struct, frozen=True, kw_only=True):
    """`person` is on call from `start` to `end`, whoever's turn it is.

    `instead_of` limits it to the turns of one who is away; without `person` the next in the layer takes them.
    """

    start: float
    end: float
    person: str | None
    instead_of: str | None = None
    why: str = ""


class Shift(Struct, frozen=True):
    """Somebody is on call from `start` to `end`; `person` is None where nobody is. `by` is the layer, or why."""

    start: float
    end: float
    person: str | None
    by: str


class Rota(Struct, frozen=True, kw_only=True):
    """Layers, holidays and overrides in one time zone.

    >>> week = Layer(name="week", start=datetime(2026, 1, 5, 9), people=("ana", "ben"))
    >>> rota = Rota(name="desk", zone="Europe/Berlin", layers=(week,))
    >>> [rota.who(datetime(2026, 1, day, 8, tzinfo=UTC).timestamp()) for day in (5, 11, 12, 19)]
    ['ana', 'ana', 'ben', 'ana']
    """

    name: str
    zone: str = "UTC"
    layers: tuple[Layer, ...] = ()
    holidays: frozenset[date] = frozenset()
    on_holidays: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()

    def who(self, at: float) -> str | None:
        """Return who is on call at `at`, or None."""
        return self.turn(at)[0]

    def turn(self, at: float) -> tuple[str | None, str]:
        """Return who is on call at `at`, and by which layer, holiday or override."""
        zone = ZoneInfo(self.zone)
        away: set[str | None] = {one.instead_of for one in self.overrides if one.instead_of and _holds(one, at)}
        for each in reversed(self.overrides):
            if each.instead_of is None and each.person is not None and _holds(each, at):
                return each.person, each.why or "override"
        if self.on_holidays:
            today = datetime.fromtimestamp(at, zone).date()
            if today in self.holidays:
                number = sorted(self.holidays).index(today)
                return self.on_holidays[number % len(self.on_holidays)], "holiday"
        for layer in reversed(self.layers):
            found = self._of_layer(layer, at, zone, away)
            if found is not None:
                return found
        return None, "nobody"

    def _of_layer(
        self, layer: Layer, at: float, zone: ZoneInfo, away: set[str | None]
    ) -> tuple[str | None, str] | None:
        for start, end, person in layer.events:
            if start <= at < end and person not in away:
                return person, layer.name
        if not layer.people or not (layer.only is None or _inside(layer.only, at, zone)):
            return None
        turn = turn_at(layer, at, zone)
        if turn is None:
            return None
        person = layer.people[turn % len(layer.people)]
        if person not in away:
            return person, layer.name
        stand_in = next(
            (one.person for one in self.overrides if one.instead_of == person and one.person and _holds(one, at)), None
        )
        if stand_in is not None:
            return stand_in, f"for {person}"
        others = (layer.people[(turn + step) % len(layer.people)] for step in range(1, len(layer.people)))
        following = next((other for other in others if other not in away), None)
        return None if following is None else (following, f"{layer.name}, for {person}")

    def shifts(self, start: float, end: float) -> list[Shift]:
        """Return who is on call from `start` to `end`, without a gap: where nobody is, the person is None."""
        found: list[Shift] = []
        bounds = sorted({start, end, *(at for at in self.bounds(start, end) if start < at < end)})
        for begin, stop in pairwise(bounds):
            person, by = self.turn(begin)
            if found and (found[-1].person, found[-1].by) == (person, by):
                found[-1] = Shift(found[-1].start, stop, person, by)
            else:
                found.append(Shift(begin, stop, person, by))
        return found

    def bounds(self, start: float, end: float) -> Iterator[float]:
        """Give every moment between `start` and `end` at which somebody else may take over."""
        zone = ZoneInfo(self.zone)
        for each in self.overrides:
            yield from (each.start, each.end)
        first, last = (datetime.fromtimestamp(at, zone).date() for at in (start, end))
        if self.on_holidays:
            for day in self.holidays:
                yield moment(datetime.combine(day, time(0)), zone)
                yield moment(datetime.combine(day + DAY, time(0)), zone)
        for layer in self.layers:
            for begin, stop, _ in layer.events:
                yield from (begin, stop)
            if layer.people:
                yield from _hand_overs(layer, start, end, zone)
                if layer.only is not None:
                    for day in _days(first - DAY, last + DAY):
                        yield from layer.only.around(day, zone) or ()

    def next_change(self, at: float, horizon_s: float = 400 * 86_400.0) -> Shift | None:
        """Return the shift that follows the one at `at`; None if nothing changes within the horizon."""
        now = self.who(at)
        for shift in self.shifts(at, at + horizon_s):
            if shift.start > at and shift.person != now:
                return shift
        return None

    def gaps(self, start: float, end: float) -> list[Shift]:
        """Return when nobody is on call between `start` and `end`."""
        return [shift for shift in self.shifts(start, end) if shift.person is None]

    @property
    def people(self) -> frozenset[str]:
        """Everybody who can be on call by it."""
        named = {person for layer in self.layers for person in layer.people}
        named |= {person for layer in self.layers for _, _, person in layer.events}
        return frozenset(named | set(self.on_holidays) | {each.person for each in self.overrides if each.person})


def moment(wall: datetime, zone: ZoneInfo) -> float:
    """Return the moment of a wall-clock time.

    >>> zone = ZoneInfo("Europe/Berlin")
    >>> hours = [moment(datetime(2026, 10, 25, hour), zone) for hour in (1, 2, 3)]  # the clocks go back at 03:00
    >>> [(later - earlier) / 3600 for earlier, later in zip(hours, hours[1:])]
    [1.0, 2.0]
    >>> hours = [moment(datetime(2026, 3, 29, hour), zone) for hour in (1, 2, 3)]  # forward, at 02:00
    >>> [(later - earlier) / 3600 for earlier, later in zip(hours, hours[1:])]
    [1.0, 0.0]
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC).timestamp()


def turn_at(layer: Layer, at: float, zone: ZoneInfo) -> int | None:
    """Return the number of the turn at `at`, 0 the first; None before it."""
    wall = datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)
    number = (wall - layer.start) // layer.period
    while number > 0 and moment(layer.start + number * layer.period, zone) > at:
        number -= 1
    while moment(layer.start + (number + 1) * layer.period, zone) <= at:
        number += 1
    if number < 0 or moment(layer.start + number * layer.period, zone) > at:
        return None
    return number


def _hand_overs(layer: Layer, start: float, end: float, zone: ZoneInfo) -> Iterator[float]:
    first = turn_at(layer, start, zone)
    number = 0 if first is None else first
    for _ in range(MOST_SHIFTS):
        at = moment(layer.start + number * layer.period, zone)
        if at > end:
            return
        yield at
        number += 1


def _inside(window: Window, at: float, zone: ZoneInfo) -> bool:
    today = datetime.fromtimestamp(at, zone).date()
    spans = (window.around(day, zone) for day in (today - DAY, today))
    return any(begin <= at < stop for begin, stop in filter(None, spans))


def _holds(override: Override, at: float) -> bool:
    return override.start <= at < override.end


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


def joined(shifts: Iterable[Shift]) -> list[Shift]:
    """Return shifts with those of one person after each other made one, whatever brought them about."""
    found: list[Shift] = []
    for shift in shifts:
        if found and found[-1].person == shift.person and found[-1].end == shift.start:
            found[-1] = Shift(found[-1].start, shift.end, shift.person, found[-1].by)
        else:
            found.append(shift)
    return found
