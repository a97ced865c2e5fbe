"""What a brand ordinarily brings, as its past tells, and how far a window of hours stands above it: `Ordinary`.

Volume and share of complaints are judged jointly, every cause by itself. Scores are variance-stabilised (Anscombe 1948)
and joined as Stouffer et al. (1949) do.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, structs

from monitor.spread.baseline import HOUR, WEEK, Baseline
from monitor.spread.scores import excess_share, score
from monitor.spread.types import Tide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.spread.bins import Bins

ON = 5.0
"""A wave begins at this joint score of volume and share (Stouffer's z) ..."""

ON_TOPIC = 5.75
"""... or at this score of one cause (higher, for there are many causes), or at a volume never seen (`novelty`)."""

ON_YOUNG = 6.5
"""... and at this one before a whole week was seen: the first Friday afternoon is busier than any hour before it."""

SETTLED = 24
"""Hours of history from which on the baseline is trusted; before that its dispersion is `UNSETTLED`."""

UNSETTLED = 0.5
PRIOR_SHARE = 0.35
SHARE_BELIEF = 30.0
"""Share of complaints: prior, and its weight in voices."""

TOPIC_SHARE = 0.02
TOPIC_BELIEF = 50.0
"""A cause's share of the complaints: prior, and its weight in voices."""


class Ordinary(Struct, frozen=True):
    """A brand's baseline, its share of complaints, and the share that each cause has of those.

    Attributes:
        baseline: complaining voices by hour.
        share: of the voices complain.
        topic_shares: of the complaining voices, by cause.
        topic_prior: the share of a cause that was never heard of.

    Four quiet days, one complaint of two mentions an hour; then an hour with thirty of forty.

    >>> from monitor.spread.bins import PER_HOUR, Bins
    >>> bins = Bins()
    >>> for hour in range(96):
    ...     bins.add(hour * PER_HOUR, 2 * hour, "cause", complains=True)
    ...     bins.add(hour * PER_HOUR, 2 * hour + 1, None, complains=False)
    >>> ordinary = Ordinary.learn(bins, [(hour, 1.0) for hour in range(96)])
    >>> ordinary.settled, round(ordinary.baseline.expected(96), 1), round(ordinary.share, 2)
    (True, 1.0, 0.48)
    >>> calm, storm = ordinary.whole(0.0, 1, (1.0, 2.0, 1.0), 1), ordinary.whole(0.0, 1, (30.0, 40.0, 1.0), 30)
    >>> calm.score < 1.0, storm.score > ON
    (True, True)
    """

    baseline: Baseline
    share: float
    topic_shares: dict[str, float]
    topic_prior: float

    @classmethod
    def learn(cls, bins: Bins, hours: Iterable[tuple[int, float]]) -> Ordinary:
        """Learn from some hours of the past, in order.

        Args:
            bins: what they brought.
            hours: number (since the epoch) and the part of it that was seen, of every hour that teaches.
        """
        numbers, counts, weights = [], [], []
        bad, both = PRIOR_SHARE * SHARE_BELIEF, SHARE_BELIEF
        causes: dict[str, float] = {}
        told = bins.told()
        for hour, weight in hours:
            numbers.append(hour)
            weights.append(weight)
            if hour not in told:  # most hours of most brands
                counts.append(0.0)
                continue
            complaining, voices = bins.hour(hour)
            counts.append(complaining / weight)
            for topic, count in bins.hour_by_cause(hour).items():
                causes[topic] = causes.get(topic, 0.0) + count
            bad += complaining
            both += voices
        baseline = Baseline.fit(
            np.array(numbers, dtype=np.int64), np.array(counts, dtype=np.float64), np.array(weights, dtype=np.float64)
        )
        prior = TOPIC_SHARE * TOPIC_BELIEF
        weight = bad - PRIOR_SHARE * SHARE_BELIEF + TOPIC_BELIEF
        shares = {topic: (count + prior) / weight for topic, count in causes.items()}
        return cls(baseline, min(bad / both, 0.98), shares, prior / weight)

    @property
    def settled(self) -> bool:
        """Whether enough was seen for the baseline to be trusted."""
        return self.baseline.hours >= SETTLED

    def whole(self, now: float, hours: int, counts: tuple[float, float, float], voices: int) -> Tide:
        """Score the whole of one window: volume and share jointly.

        Args:
            now: when the window ends.
            hours: its length.
            counts: complaining voices, voices, and the complaining voices that the baseline expects.
            voices: distinct complaining voices.
        """
        observed, total, expected = counts
        dispersion = self._dispersion(hours)
        joint = 0.0
        if self.baseline.hours and total > 0.0:
            volume = score(observed, expected, dispersion)
            joint = min((volume + excess_share(observed, total, self.share)) / sqrt(2.0), volume + ON)
            if self.baseline.hours < WEEK:
                joint *= ON / ON_YOUNG
        width = 1.2816 * sqrt(expected + dispersion * expected**2)
        return Tide(
            at=now, observed=observed, expected=expected, low=max(0.0, expected - width), high=expected + width + 1.0,
            window_s=hours * HOUR, score=max(joint, 0.0), voices=voices,
        )  # fmt: skip

    def topic(self, whole: Tide, topic: str, count: float, total: float) -> Tide:
        """Say how one cause, of which `count` voices of `total` complain, stands in the window of `whole`."""
        expected = whole.expected * self.topic_shares.get(topic, self.topic_prior)
        width = 1.2816 * sqrt(expected + self._dispersion(whole.window_s / HOUR) * expected**2)
        return structs.replace(
            whole, observed=count, expected=expected, low=max(0.0, expected - width), high=expected + width + 1.0,
            score=self.topic_score(whole, topic, count, total), voices=min(round(count), whole.voices), topic=topic,
        )  # fmt: skip

    def topic_score(self, whole: Tide, topic: str, count: float, total: float) -> float:
        """Score one cause in the window of `whole`: against its own share of what the hour usually brings."""
        if not self.baseline.hours:
            return 0.0
        share = self.topic_shares.get(topic, self.topic_prior)
        above = score(count, whole.expected * share, self._dispersion(whole.window_s / HOUR))
        joint = (above + excess_share(count, total, self.share * share)) / sqrt(2.0)
        return max(0.0, joint * ON / ON_TOPIC)

    def _dispersion(self, hours: float) -> float:
        """The overdispersion of a count in a window of so many hours."""
        return (self.baseline.dispersion if self.settled else UNSETTLED) / sqrt(hours)


UNKNOWN = Ordinary(Baseline(np.zeros(WEEK), 0.0, UNSETTLED, 0), PRIOR_SHARE, {}, TOPIC_SHARE)
"""Of a brand that nothing was heard of."""
