"""The conditions of the default rules: pure predicates over a `StoryView`, built from typed thresholds.

A condition is anything that takes a view and says whether it holds; it may raise `ConditionError`. The thresholds
here are the starting point, justified in each class.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from monitor.escalation.types import StoryView
    from monitor.spread.types import Spread


class Condition(Protocol):
    """Whether a rule's condition holds for a view. Raises `ConditionError` where it cannot be said."""

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        ...


def crossed(spread: Spread) -> bool:
    """Return whether the story is past its viral line: the forecast says so by "no time until then"."""
    return spread.forecast.minutes_to_viral == 0.0


class Growing(Struct, frozen=True, kw_only=True):
    """The story is alive and is forecast to pass the viral line, is about to, or is past it.

    `p_viral`: at one chance in three it is worth waking someone: in simulated weeks an even chance comes when a third
    of the line is passed, half an hour to two hours later, and the complaints that die do not reach either. `near` and
    `ahead_h`: from this part of the line on, a pace that passes it within so many hours is enough, whatever the
    forecast says.
    Alive is what goes on at `times` the usual rate and at `pace` of the line an hour (`past` of it once it is past the
    line), with nothing quieter than `quiet_s` in between; without it, a story that has passed its line long ago would
    count for ever, and the next day's stragglers would open it again.
    """

    p_viral: float = 0.3
    near: float = 0.7
    ahead_h: float = 1.0
    times: float = 2.0
    pace: float = 0.02
    past: float = 0.05
    quiet_s: float = 3600.0
    voices: int = 5

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds; never without a spread."""
        spread = view.spread
        if spread is None or view.voices < self.voices or not self.alive(spread, view.last_at):
            return False
        return spread.forecast.p_viral >= self.p_viral or self.about_to(spread)

    def alive(self, spread: Spread, last_at: float) -> bool:
        """Return whether it still grows."""
        least = self.times * spread.expected_per_hour
        if isfinite(spread.line.size):
            least = max(least, (self.past if crossed(spread) else self.pace) * spread.line.size)
        return spread.at - last_at <= self.quiet_s and spread.per_hour >= least

    def about_to(self, spread: Spread) -> bool:
        """Return whether its present pace takes it over the line soon."""
        soon = spread.voices + spread.per_hour * self.ahead_h
        return spread.voices >= self.near * spread.line.size and soon >= spread.line.size


class Complaining(Struct, frozen=True, kw_only=True):
    """The story is about a complaint, by enough readable mentions, and no promotion.

    `share`: half of its mentions complain. Or somebody was wronged and others pass it on: few of those complain
    themselves ("how do they sleep?", "please share"), but of the mentions that take a side at least `against` are
    negative, and `least` complain outright. What spreads because people laugh, plead, win or praise has neither.
    `readable`: below five mentions a share says nothing. `promo`: a third of giveaway or campaign language is one.
    """

    share: float = 0.5
    against: float = 0.6
    least: float = 0.15
    readable: int = 5
    promo: float = 0.34

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        if view.size * (1.0 - view.unread_share) < self.readable or view.promo_share >= self.promo:
            return False
        if view.complaint_share >= self.share:
            return True
        sided = view.negative_share + view.positive_share
        return view.complaint_share >= self.least and view.negative_share >= self.against * sided > 0.0


class GoingViral(Struct, frozen=True, kw_only=True):
    """A complaint that is going viral: `Complaining` and `Growing` at once."""

    complaining: Complaining = Complaining()
    growing: Growing = Growing()

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        return self.complaining(view) and self.growing(view)


class Spreading(Struct, frozen=True, kw_only=True):
    """Something spreads that is no complaint: mockery, pleas, a giveaway, praise."""

    complaining: Complaining = Complaining()
    growing: Growing = Growing()

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        return self.growing(view) and not self.complaining(view)


class FarOverLine(Struct, frozen=True, kw_only=True):
    """A complaint that is going viral far beyond the line, or over several brands at once.

    `factor`: at three times the line, by count or by the forecast's lower end (its 10 % quantile), it is no longer
    one team's matter. `brands`: past the line and shared by this many brands that are not part of one another.
    """

    viral: GoingViral = GoingViral()
    factor: float = 3.0
    brands: int = 2

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        spread = view.spread
        if spread is None or not self.viral(view):
            return False
        if view.brands_hit >= self.brands and crossed(spread):
            return True
        reach = spread.line.reach
        if reach is not None and spread.reach >= self.factor * reach:
            return True
        return max(spread.voices, spread.forecast.q10) >= self.factor * spread.line.size


class InWave(Struct, frozen=True, kw_only=True):
    """A brand is in a wave of complaints, and the baseline is known well enough to say so.

    `voices`: a wave is many people; a furious author with a dozen who answer, or an old story that is passed around,
    is none. Simulated decoys come to 14 people in the tide's window, the waves of the airline week to 24 and more.
    """

    voices: int = 20
    share: float = 0.5
    promo: float = 0.34

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds; never without a tide."""
        tide = view.tide
        if tide is None or tide.wave_since is None or not tide.confident:
            return False
        return tide.voices >= self.voices and (view.complaint_share >= self.share and view.promo_share < self.promo)


class WaveLasts(Struct, frozen=True):
    """The tide still says wave; its own hysteresis makes one storm one wave."""

    def __call__(self, view: StoryView, /) -> bool:
        """Return whether it holds."""
        return view.tide is not None and view.tide.wave_since is not None
