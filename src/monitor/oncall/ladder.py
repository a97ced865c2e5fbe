"""Ladders: who is paged first, who next if nobody acknowledges, and who in the end. Pure.

A ladder's levels are unrolled into steps: a level that asks its people one by one is as many steps; all of it is gone
through `repeat` times more; the catch-all is the last step.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from monitor.oncall.rota import Rota, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

WAIT_S = 600.0
"""Seconds until the next level is paged, where nothing else is said."""


class Level(Struct, frozen=True, kw_only=True):
    """People, rotas and teams that are paged together, or one by one, and for how long an answer is waited."""

    to: tuple[str, ...]
    wait: float | None = None
    one_by_one: bool = False


class Ladder(Struct, frozen=True, kw_only=True):
    """Levels from first to last; `catch_all` is paged when nobody answered; `manager` hears of the third hand-over."""

    name: str
    levels: tuple[Level, ...]
    repeat: int = 0
    catch_all: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()

    def again(self, number: int) -> bool:
        """Return whether step `number` asks a level that was asked before."""
        steps = len(self.steps())
        once = (steps - bool(self.catch_all)) // (1 + self.repeat)
        return once <= number < steps - bool(self.catch_all)

    def steps(self) -> tuple[tuple[tuple[str, ...], float | None, str], ...]:
        """Return the steps: whom, how long to wait after, and what the step is called.

        >>> [said for _, _, said in Ladder(name="a", levels=(Level(to=("x",)), Level(to=("y", "z"), one_by_one=True)),
        ...     repeat=1, catch_all=("w",)).steps()]
        ['level 1', 'level 2', 'level 2', 'level 1', 'level 2', 'level 2', 'the catch-all']
        """
        once: list[tuple[tuple[str, ...], float | None, str]] = []
        for number, level in enumerate(self.levels, start=1):
            turns: Iterable[tuple[str, ...]] = ((one,) for one in level.to) if level.one_by_one else (level.to,)
            once += [(turn, level.wait, f"level {number}") for turn in turns]
        steps = once * (1 + self.repeat)
        return (*steps, (self.catch_all, None, "the catch-all")) if self.catch_all else tuple(steps)


class Deadlines(Struct, frozen=True, kw_only=True):
    """Seconds to acknowledge (until the next level), to answer the customer and to resolve, from the first page."""

    acknowledge: float | None = None
    answer: float | None = None
    resolve: float | None = None


class Quiet(Struct, frozen=True, kw_only=True):
    """Hours in which pages of a severity below `below` wait; for these people, or for everyone if none is named."""

    people: frozenset[str]
    below: str
    window: Window
    zone: str

    def until(self, at: float) -> float | None:
        """Return when the quiet hours that hold at `at` end; None outside of them."""
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(at, UTC).astimezone(zone).date()
        spans = (self.window.around(day, zone) for day in (today - timedelta(days=1), today))
        return max((end for begin, end in filter(None, spans) if begin <= at < end), default=None)


class OnCall(Struct, frozen=True, kw_only=True):
    """All that the on-call file says."""

    rotas: dict[str, Rota] = {}
    teams: dict[str, tuple[str, ...]] = {}
    ladders: dict[str, Ladder] = {}
    deadlines: dict[str, Deadlines] = {}
    quiet: tuple[Quiet, ...] = ()
    manager: tuple[str, ...] = ()
    calendars: tuple[str, ...] = ()
    gaps: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """What a route can lead to, beside people."""
        return frozenset({*self.rotas, *self.teams, *self.ladders})

    def people(self, targets: Iterable[str], at: float) -> tuple[str, ...]:
        """Return who stands behind people, rotas, teams and ladders (their first step) at `at`, each once."""
        found: dict[str, None] = {}
        for target in targets:
            if target in self.rotas:
                person = self.rotas[target].who(at)
                found.update({person: None} if person is not None else {})
            elif target in self.teams:
                found.update(dict.fromkeys(self.teams[target]))
            elif target in self.ladders:
                found.update(dict.fromkeys(self.climb(self.ladders[target], 0, at)[0]))
            else:
                found[target] = None
        return tuple(found)

    def climb(self, ladder: Ladder, number: int, at: float) -> tuple[tuple[str, ...], int, str]:
        """Return whom a step reaches at `at`, which step that is, and what is to be said of the ones skipped."""
        skipped: list[str] = []
        for place, (targets, _, said) in enumerate(ladder.steps()):
            if place < number:
                continue
            people = self.people(targets, at)
            if people:
                return people, place, "; ".join(skipped)
            skipped.append(f"{said} of {ladder.name} ({', '.join(targets)}) has nobody on call: skipped")
        return (), max(number, len(ladder.steps())), "; ".join(skipped)

    def nobody(self, ladder: Ladder, start: float, end: float) -> tuple[float, float] | None:
        """Return the first stretch between `start` and `end` in which no step reaches anybody, or None."""
        targets = {target for step, _, _ in ladder.steps() for target in step}
        if any(target not in self.rotas for target in targets):
            return None
        rotas = [self.rotas[target] for target in sorted(targets)]
        bounds = sorted({start, end, *(at for rota in rotas for at in rota.bounds(start, end) if start < at < end)})
        empty = [at for at in bounds[:-1] if all(rota.who(at) is None for rota in rotas)]
        if not empty:
            return None
        return empty[0], next((at for at in bounds if at > empty[0] and at not in empty), end)
