"""`StorySpread`: a story's state with its assessment."""

from __future__ import annotations

from math import expm1, sqrt

from monitor.spread.forecast import Forecaster
from monitor.spread.kernel import SCALES
from monitor.spread.signs import Signs, signs
from monitor.spread.story import KINDS, StoryState
from monitor.spread.types import Spread, ViralLine
from monitor.spread.usual import HOUR, ONSET, teaches_from, usual_per_hour

YOUNGEST = 60.0
"""A younger story (seconds) is forecast as if nothing more had come until then: no forecaster saw one that young."""

STEADY = SCALES.index(14_400.0)
"""The scale that a usual rate is held against: one voice more or less in the last minutes says nothing of a theme."""

UNEVEN = 0.25
"""How uneven a theme is beyond chance, by its hours: the square of half of what it usually brings."""

QUIET = 3600.0
"""Seconds of silence that end a run of activity."""


class StorySpread(StoryState):
    """How one story spreads, and how far it will: constant time and at most 4 KB, whatever its size.

    The point process (Zhao et al. 2015; Hawkes and Oakes 1974) below, a learned layer above it (Mishra et al. 2016).

    Example: forty voices within twenty minutes, the last ones coming faster.

    >>> story = StorySpread()
    >>> for i in range(40):
    ...     story.observe(1200.0 * (i / 40) ** 0.5, i, 300, "repost", 0.9)
    >>> spread = story.assess(1200.0, ViralLine(100.0), background_per_hour=2.0)
    >>> spread.voices, spread.forecast.q10 <= spread.forecast.q50 <= spread.forecast.q90
    (40, True)
    >>> spread.forecast.p_viral > 0.2, story.assess(90_000.0, ViralLine(100.0), 2.0).forecast.p_viral < 0.05
    (True, True)
    >>> StorySpread.load(story.dump()).assess(1200.0, ViralLine(100.0), 2.0) == spread
    True

    Why: what was observed against what is ordinary, since when, at which scale, and what drives it.

    >>> spread.per_hour > 50 * spread.expected_per_hour, spread.since, spread.burst_scale_s
    (True, 0.0, 1200.0)
    >>> [name for name, value in spread.drivers][:3], dict(spread.drivers)["repost_share"]
    (['voices_per_hour', 'voices_last_5_min', 'reproduction'], 1.0)

    A theme that is always spoken of, one voice an hour for five days: what it usually brings is held against no line.

    >>> theme = StorySpread()
    >>> for i in range(120):
    ...     theme.observe(3600.0 * i, i, 300, "post", 0.9)
    >>> spread = theme.assess(3600.0 * 119, ViralLine(100.0))
    >>> spread.voices, round(spread.usual), round(spread.expected_per_hour, 1), spread.forecast.p_viral < 0.05
    (120, 118, 1.0, True)
    """

    __slots__ = ()

    def assess(
        self,
        now: float,
        line: ViralLine,
        background_per_hour: float = 0.0,
        forecaster: Forecaster | None = None,
        heard_since: float | None = None,
    ) -> Spread:
        """Say where the story stands at `now`, and how far it will go.

        Args:
            now: event time, seconds since the epoch; a time before the newest mention counts as that mention's.
            line: from which size on it is viral; an input of the forecast, any line will do.
            background_per_hour: mentions an hour that would be ordinary for a story of this brand; what this story
                has usually brought itself (`monitor.spread.usual`) counts where that is more, and the people it
                usually brings are not held against the line.
            forecaster: in the place of the packaged one.
            heard_since: when the first was heard of its umbrella. What was spoken of then may have been for weeks: its
                usual rate is believed sooner.
        """
        seen = signs(self, now)
        background = max(0.0, background_per_hour)
        excess = 1.0 - min(background / seen.per_hour, 1.0) if seen.per_hour > 0.0 else 1.0
        hourly, usual = self._usual(seen, now, heard_since)
        if hourly > 0.0:
            excess = min(excess, _beyond(seen, hourly))
        grown = seen if seen.age >= YOUNGEST else signs(self, self.first + YOUNGEST)
        forecast = (forecaster or Forecaster.default()).predict(grown, line, excess, usual)
        reach = self.reach * (1.0 - usual / seen.voices) if usual > 0.0 else self.reach
        if line.reach is not None and reach >= line.reach > 0.0:
            forecast = type(forecast)(forecast.q10, forecast.q50, forecast.q90, 1.0, 0.0)
        return Spread(
            at=max(now, self.ref),
            size=self.size,
            voices=round(self.voices),
            reach=self.reach,
            per_hour=seen.per_hour,
            expected_per_hour=max(background, hourly),
            reproduction=seen.reproduction,
            forecast=forecast,
            line=line,
            drivers=self._drivers(seen),
            since=self._since(),
            burst_scale_s=_burst_scale(seen, max(background, hourly)),
            usual=usual,
        )

    @classmethod
    def load(cls, raw: bytes) -> StorySpread:
        """Read what `dump` wrote.

        Raises:
            ValueError: it is no dumped story, or of another version.
        """
        story = cls()
        story._restore(raw)
        return story

    def _usual(self, seen: Signs, now: float, heard_since: float | None) -> tuple[float, float]:
        """What the story usually brings: voices an hour, and voices by now."""
        onset = heard_since is not None and self.first <= heard_since + ONSET
        if seen.age <= teaches_from(onset=onset):
            return 0.0, 0.0
        hourly = usual_per_hour(*self.growth.curve(max(now, self.ref)), onset=onset)
        return hourly, min(hourly * seen.age / HOUR, seen.voices)

    def _drivers(self, seen: Signs) -> tuple[tuple[str, float], ...]:
        """What the forecast rests on, by name: numbers that a page can show."""
        total = max(self.voices, 1e-9)
        drivers = [("voices_per_hour", seen.per_hour), ("voices_last_5_min", seen.counts[1])]
        drivers += [
            ("reproduction", seen.reproduction),
            ("unspent_exposure", seen.unspent),
            ("still_expected", seen.hawkes),
        ]
        drivers += [
            *((f"{kind}_share", min(self.kinds[at] / total, 1.0)) for kind, at in KINDS.items()),
            ("mentions_per_voice", self.size / max(total, 1.0)),
        ]
        if self.read:
            drivers.append(("complaint_share", self.complaint / self.read))
        return tuple((name, round(value, 4)) for name, value in drivers)

    def _since(self) -> float | None:
        """When the present run of activity began: before it there were `QUIET` seconds without a voice.

        As far as the growth curve still tells: it keeps a pause for as long as that is not much shorter than its age.
        """
        began = None
        for start, width in sorted(self.growth.spans(), reverse=True):
            if began is not None and began - (start + width) >= QUIET:
                break
            began = start
        return None if began is None else max(began, self.first)


def _beyond(seen: Signs, usual_per_hour: float) -> float:
    """The share of the last hours' voices that is more than what a theme that brings so many may bring in them."""
    tau = SCALES[STEADY]
    usual = usual_per_hour / HOUR * tau * -expm1(-seen.age / tau)
    most = usual + sqrt(usual + UNEVEN * usual * usual)
    return max(0.0, 1.0 - most / max(seen.counts[STEADY], 1e-9))


def _burst_scale(seen: Signs, background_per_hour: float) -> float | None:
    """The scale at which the story stands out most against its background, or None if at none."""
    best, scale = 0.0, None
    for count, tau in zip(seen.counts, SCALES, strict=True):
        ordinary = background_per_hour / 3600.0 * tau
        excess = (count - ordinary) / sqrt(ordinary + 1.0)
        if excess > best:
            best, scale = excess, tau
    return scale
