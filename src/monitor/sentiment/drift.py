"""What readings are like of late: shares and confidence that move when the texts, or the model, change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sentiment.reading import Reading

WINDOW: Final = 1000.0
"""About so many readings count: older ones fade."""
COMPLAINS: Final = 0.5


class Drift:
    """Running means over the last readings, each of which counts less the more came after it.

    Args:
        window: about so many readings count.

    >>> from monitor.sentiment.stub import StubScorer
    >>> drift = Drift()
    >>> drift.see(StubScorer().read(["lovely, thanks", "the worst", "we land at five", ""]))
    >>> drift.unread, {name: round(share, 2) for name, share in drift.shares.items()}
    (0.25, {'negative': 0.33, 'neutral': 0.33, 'positive': 0.33, 'complaint': 0.0})
    """

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._seen = self._read = 0.0
        self._sums = dict.fromkeys(("unread", "confidence", "negative", "neutral", "positive", "complaint"), 0.0)

    def see(self, readings: Sequence[Reading]) -> None:
        """Take in what was read."""
        fade = math.exp(-len(readings) / self._window)
        self._seen *= fade
        self._read *= fade
        for name in self._sums:
            self._sums[name] *= fade
        for one in readings:
            self._seen += 1
            felt = one.sentiment
            if felt is None:
                self._sums["unread"] += one.unread is not None
                continue
            self._read += 1
            self._sums[felt.label] += 1
            self._sums["confidence"] += max(felt.negative, felt.neutral, felt.positive)
            self._sums["complaint"] += one.complaint is not None and one.complaint >= COMPLAINS

    @property
    def unread(self) -> float | None:
        """The share that could not be read; None before the first reading."""
        return self._sums["unread"] / self._seen if self._seen else None

    @property
    def confidence(self) -> float | None:
        """The mean probability of the label given; None before the first text that could be read."""
        return self._sums["confidence"] / self._read if self._read else None

    @property
    def shares(self) -> dict[str, float]:
        """Of those that could be read: `negative`, `neutral`, `positive` by label, `complaint` from .5 on."""
        if not self._read:
            return {}
        return {name: self._sums[name] / self._read for name in ("negative", "neutral", "positive", "complaint")}
