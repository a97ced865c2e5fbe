"""What the rules make of an umbrella's brands: their waves, their budgets, and trouble in several of them at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from monitor.engine.ask import undecided
from monitor.engine.changes import Link
from monitor.engine.family import in_words, members, together, umbrella_view
from monitor.engine.matter import budget_nearby, budget_paged, paged_about, wave_elsewhere, wave_paged, waves_above
from monitor.engine.state import BUDGET_S, slot
from monitor.engine.waves import Remembered, name
from monitor.spread.types import Burn

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.engine.ask import Ask
    from monitor.engine.changes import Changes
    from monitor.engine.state import UmbrellaState
    from monitor.engine.waves import BrandWatch
    from monitor.escalation.types import StoryView


class BrandJudge:
    """Judges brands as time passes. `watch_only`: decide nothing; `since`: a backlog that began then ends here."""

    def __init__(self, state: UmbrellaState, ask: Ask) -> None:
        self._state = state
        self._ask = ask

    def all(self, changes: Changes, *, watch_only: bool = False, since: float | None = None) -> None:
        """Judge every brand's wave, the umbrella as a whole, and now and then the budgets."""
        state = self._state
        state.tide_slot = max(state.tide_slot, slot(state.clock, state.settings.tide_s))
        state.lines.clear()
        # The nearest to the matter first: what is above it counts the same complaints.
        nearest = sorted(state.brands, key=lambda one: (-len(state.tree.ancestors(one)), one))
        for brand in nearest:
            self._wave(brand, changes, watch_only=watch_only, since=since)
        self._umbrella(changes, watch_only=watch_only, since=since)
        if slot(state.clock, BUDGET_S) > state.budget_slot:
            state.budget_slot = slot(state.clock, BUDGET_S)
            for brand in nearest:
                self._budgets(brand, changes, watch_only=watch_only, since=since)

    def _wave(self, brand: str, changes: Changes, *, watch_only: bool, since: float | None) -> None:
        state = self._state
        now, watch = state.clock, state.brands[brand]
        if not watch.stirred and watch.wave is None and (watch.seen is None or watch.seen.wave_since is None):
            watch.tide.tick(now)
            return  # nothing was heard: it cannot have become a wave
        watch.stirred = False
        tide = watch.seen = watch.tide.assess(now)
        story = watch.wave
        if tide.wave_since is not None and story is None:
            if wave_elsewhere(state, brand, tide):
                return  # the same wave, seen from above or below: one page
            story = watch.story_id(tide)
            state.touched_brands.add(brand)
            for other in waves_above(state, brand):  # nobody was told of it there: it is told here, and as soon
                watch.memory = other.memory
                other.end_wave()
                state.touched_brands.add(other.brand)
        if story is None:
            return
        if watch.memory.severity is None and not watch.explained:
            watch.explained = bool(paged_about(state, brand)) or budget_paged(state, brand)
        if watch.explained and tide.wave_since is not None:
            return  # people retell what somebody was already paged about: one matter, one page
        view = watch.view(story, tide)
        decision, memory = self._ask.live(view, watch.memory, changes)
        watch.shadows = self._ask.shadows(view, watch.shadows, changes, watch_only=watch_only)
        if watch_only:
            memory = undecided(memory, watch.memory)
        else:
            self._ask.conclude(view, decision, since, changes)
        state.touched_brands.add(brand)
        watch.memory = memory
        if tide.wave_since is None and memory.severity is None:
            watch.end_wave()

    def _budgets(self, brand: str, changes: Changes, *, watch_only: bool, since: float | None) -> None:
        state = self._state
        now, watch = state.clock, state.brands[brand]
        burns = {burn.cause: burn for burn in watch.tide.burns(now, state.tree.budgets(brand))}
        for cause in sorted(burns.keys() | watch.budgets.keys()):
            burn = burns.get(cause)
            kept = watch.budgets.get(cause)
            if kept is None:
                if budget_nearby(state, brand, cause):
                    continue  # the same complaints, seen from above or below
                kept = Remembered(name("b", state.name, brand, now, cause), cause=cause)
            if not kept.standing and not kept.explained:
                kept.explained = bool(paged_about(state, brand)) or wave_paged(state, brand)
            if kept.explained and burn is not None:
                if cause not in watch.budgets:
                    watch.budgets[cause] = kept
                    state.touched_brands.add(brand)
                continue  # one matter, one page
            calm = burn or Burn(at=now, cause=cause, allowed=0.0, why="")
            before = msgspec.structs.replace(kept)
            self._judge(watch.budget_view(kept.story, calm), kept, changes, watch_only=watch_only, since=since)
            if _forgotten(kept):
                if watch.budgets.pop(cause, None) is not None:
                    state.touched_brands.add(brand)
            elif kept != before or cause not in watch.budgets:
                watch.budgets[cause] = kept
                state.touched_brands.add(brand)

    def _umbrella(self, changes: Changes, *, watch_only: bool, since: float | None) -> None:
        """Judge what several brands suffer at once; what they have of it stands below the umbrella's incident."""
        state = self._state
        found = members(state)
        brands = len({member.brand for member in found})
        root: BrandWatch | None = state.brands.get(state.name)
        kept = root.together if root is not None else None
        if brands < 2 and kept is None:  # noqa: PLR2004 -- one brand is no family
            return
        root = root or state.watch(state.name)
        kept = kept or Remembered(name("u", state.name, state.name, state.clock))
        sum_of_it = together(state, found)
        view = umbrella_view(state, kept.story, sum_of_it, found)
        words = partial(in_words, state, of=found)
        self._judge(view, kept, changes, watch_only=watch_only, since=since, words=words)
        if not kept.standing:
            kept.linked = []
        else:
            kept.cause = sum_of_it.cause if len(sum_of_it.brands) > 1 else kept.cause
            for member in found:
                if member.story not in kept.linked and member.told and not state.hushed:
                    kept.linked = [*kept.linked[-63:], member.story]
                    why = f"{len(sum_of_it.brands)} brands of {state.tree.name_of(state.name)} at once"
                    changes.events.append(Link(state.clock, state.name, member.story, kept.story, why))
        root.together = None if _forgotten(kept) else kept
        state.touched_brands.add(state.name)

    def _judge(
        self,
        view: StoryView,
        kept: Remembered,
        changes: Changes,
        *,
        watch_only: bool,
        since: float | None,
        words: Callable[[StoryView], StoryView] | None = None,
    ) -> None:
        decision, memory = self._ask.live(view, kept.memory, changes)
        kept.shadows = self._ask.shadows(view, kept.shadows, changes, watch_only=watch_only)
        if watch_only:
            memory = undecided(memory, kept.memory)
        elif decision.action != "none":
            self._ask.conclude(words(view) if words is not None else view, decision, since, changes)
        kept.memory = memory


def _forgotten(kept: Remembered) -> bool:
    """Whether nothing is left to remember: the next time is another matter."""
    return not kept.standing and not kept.memory.since and not kept.shadows
