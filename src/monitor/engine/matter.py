"""One matter, one page: whether somebody was already paged about what a story or a wave is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.engine.state import UmbrellaState
    from monitor.engine.waves import BrandWatch
    from monitor.escalation.types import Decision, StoryView
    from monitor.spread.types import Tide
    from monitor.story.story import Story

SAME_WORDS = 2
"""Telling words that two stories of one brand share if they are one matter told twice."""

ANOTHER_P = 0.9
"""Probability of going viral from which on a second matter of a brand that stands paged is worth a page of its own."""


def paged_about(state: UmbrellaState, brand: str) -> list[str]:
    """Return the stories of this brand, of those above and of those below it, that stand at page or crisis now."""
    paged = []
    for story in state.held:
        if state.minds[story].memory.severity in {"page", "crisis"} and story in state.grouper:
            other = state.grouper.story(story).brand() or state.name
            if other == brand or other in state.tree.ancestors(brand) or brand in state.tree.ancestors(other):
                paged.append(story)
    return paged


def wave_elsewhere(state: UmbrellaState, brand: str, tide: Tide) -> bool:
    """Whether the wave that this brand's tide shows is told of another brand: it is the same wave, seen from there.

    What is below speaks for it as soon as it brings half of the people; what is above, only once somebody was told
    there, or while this brand brings less than half of what is seen there.
    """
    below = [
        watch
        for watch in _family(state, brand)
        if watch.wave is not None and brand in state.tree.ancestors(watch.brand)
    ]
    if below and 2 * sum(_voices(watch) for watch in below) >= tide.voices:
        return True
    return any(
        watch.explained or watch.memory.severity is not None or 2 * tide.voices < _voices(watch)
        for watch in waves_above(state, brand)
    )


def waves_above(state: UmbrellaState, brand: str) -> list[BrandWatch]:
    """Return the brands above this one that are in a wave."""
    above = (state.brands.get(one) for one in state.tree.ancestors(brand))
    return [watch for watch in above if watch is not None and watch.wave is not None]


def _voices(watch: BrandWatch) -> int:
    return watch.seen.voices if watch.seen is not None else 0


def wave_paged(state: UmbrellaState, brand: str) -> bool:
    """Whether a wave of this brand, or of one above or below it, has an incident now, or is explained by a story."""
    return any(
        watch.wave is not None and (watch.explained or watch.memory.severity is not None)
        for watch in _family(state, brand)
    )


def budget_nearby(state: UmbrellaState, brand: str, cause: str) -> bool:
    """Whether a brand above or below this one is out of its budget of this cause already."""
    return any(cause in watch.budgets for watch in _family(state, brand) if watch.brand != brand)


def budget_paged(state: UmbrellaState, brand: str) -> bool:
    """Whether somebody was paged about a budget of this brand, or of one above or below it."""
    return any(
        kept.memory.severity in {"page", "crisis"} for watch in _family(state, brand) for kept in watch.budgets.values()
    )


def _family(state: UmbrellaState, brand: str) -> list[BrandWatch]:
    above = state.tree.ancestors(brand)
    return [
        watch
        for other, watch in state.brands.items()
        if other == brand or other in above or brand in state.tree.ancestors(other)
    ]


def already_told(state: UmbrellaState, story: str, view: StoryView, decision: Decision) -> bool:
    """Whether somebody was already paged about this matter: told in other words it began as a story of its own.

    It is held to be the same matter if it is about the same brand, began later than a story that stands paged, and
    shares telling words with it. If it shares one only, it still pages where it is almost sure to go viral, or
    bigger: whoever was paged is at work on this brand's storm, and most of what grows beside one is a part of it.
    """
    if decision.severity not in {"page", "crisis"}:
        return False
    entry = state.grouper.story(story)
    words = _telling(entry) - state.names  # two matters of one brand both name it
    likely = view.spread.forecast.p_viral >= ANOTHER_P if view.spread is not None else True
    for other in paged_about(state, entry.brand() or state.name):
        paged = state.grouper.story(other)
        if other == story or paged.first_at > entry.first_at:
            continue
        shared = len(words & _telling(paged))
        if shared >= SAME_WORDS or (shared and not likely and view.voices < state.spreads[other].voices):
            return True
    return False


def _telling(story: Story) -> set[str]:
    """Return the words that tell a story from others."""
    return {word for phrase in story.phrases(8) for word in phrase.split()}
