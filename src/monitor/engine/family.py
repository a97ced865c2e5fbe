"""Several brands of one umbrella in trouble at the same time: who they are, and whether it is one cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, structs

from monitor.engine import views
from monitor.engine.matter import waves_above
from monitor.escalation.types import StoryView, Together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.engine.state import UmbrellaState

LEAST_PEOPLE = 10
"""People who complain in a wave before it counts here: half of what is paged about by itself."""


class Member(Struct, frozen=True):
    """A story or a wave that somebody was paged about, or a wave that is on its way there."""

    brand: str
    story: str
    cause: str | None
    people: int
    since: float
    told: bool


def members(state: UmbrellaState) -> list[Member]:
    """Return what troubles the umbrella's brands now, the most people first; not of brands that have others below."""
    found = []
    for brand, watch in state.brands.items():
        tide = watch.seen
        if watch.explained or tide is None or tide.wave_since is None or not tide.confident:
            continue
        # What is above may have been told of first, and speaks for it.
        speaks = watch if watch.wave is not None else next(iter(waves_above(state, brand)), None)
        if tide.voices >= LEAST_PEOPLE and speaks is not None and speaks.wave is not None:
            told = speaks.memory.severity is not None
            found.append(Member(brand, speaks.wave, watch.cause(tide), tide.voices, tide.wave_since, told))
    for story in state.held:
        if state.minds[story].memory.severity in {"page", "crisis"} and story in state.grouper:
            entry = state.grouper.story(story)
            people = round(state.spreads[story].voices)
            found.append(Member(entry.brand() or state.name, story, entry.cause, people, entry.first_at, told=True))
    deepest = _deepest(state, {member.brand for member in found})
    return sorted((one for one in found if one.brand in deepest), key=lambda one: (-one.people, one.story))


def together(state: UmbrellaState, found: list[Member]) -> Together:
    """Return the sum of it.

    The cause is the one that the most brands share; what complains of nothing in particular shares no cause.
    """
    brands: dict[str, int] = {}
    causes: dict[str, dict[str, int]] = {}
    called = state.tree.name_of
    for member in found:
        brands[member.brand] = max(member.people, brands.get(member.brand, 0))
        if member.cause is not None:
            of_cause = causes.setdefault(member.cause, {})
            of_cause[member.brand] = max(member.people, of_cause.get(member.brand, 0))
    cause = max(sorted(causes), key=lambda one: (len(causes[one]), sum(causes[one].values())), default=None)
    sharing = causes[cause] if cause is not None else {}
    shared = len(sharing) > 1
    return Together(
        at=state.clock,
        brands=tuple((called(one), brands[one]) for one in sorted(brands, key=lambda one: (-brands[one], one))),
        same=len(sharing) if shared else min(len(brands), 1),
        authors=sum(sharing.values() if shared else brands.values()),
        cause=cause if shared else None,
        stories=tuple(member.story for member in found),
    )


def umbrella_view(state: UmbrellaState, story: str, found: Together, of: list[Member]) -> StoryView:
    """Return what the rules see of it; what only people read, `in_words` puts in."""
    people = sum(people for _, people in found.brands)
    return StoryView(
        umbrella=state.name,
        story=story,
        brand=state.name,
        kind="umbrella",
        headline="",
        first_at=min((member.since for member in of), default=state.clock),
        last_at=state.clock,
        size=people,
        voices=people,
        own_replies=0,
        complaint_share=1.0,
        negative_share=0.0,
        positive_share=0.0,
        repost_share=0.0,
        unread_share=0.0,
        cause=found.cause,
        sources=(),
        quotes=(),
        together=found,
    )


def in_words(state: UmbrellaState, view: StoryView, of: list[Member]) -> StoryView:
    """Return the view with the headline and the quotes of its part with the most people."""
    for member in of:
        if member.story in state.grouper:
            return views.in_words(view, state.grouper.story(member.story))
        watch = state.brands.get(member.brand)
        if watch is not None and watch.seen is not None:
            wave = watch.view(member.story, watch.seen)
            return structs.replace(view, headline=wave.headline, quotes=wave.quotes, phrases=wave.phrases)
    return view


def _deepest(state: UmbrellaState, brands: Iterable[str]) -> set[str]:
    """Return the brands that have none of the others below them."""
    named = set(brands)
    return named - {above for brand in named for above in state.tree.ancestors(brand)}
