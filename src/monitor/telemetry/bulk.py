"""A histogram that is told many values at once: one value at a time costs a hot path more than what it measures."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import CollectorRegistry


class BulkHistogram:
    """A histogram without labels; `buckets` are upper bounds, rising, without infinity.

    >>> from prometheus_client import CollectorRegistry
    >>> registry = CollectorRegistry()
    >>> seconds = BulkHistogram("seconds", "Seconds.", buckets=(1.0, 5.0), registry=registry)
    >>> seconds.observe([0.5, 5.0, 7.0])
    >>> [registry.get_sample_value("seconds_bucket", {"le": le}) for le in ("1.0", "5.0", "+Inf")]
    [1.0, 2.0, 3.0]
    """

    def __init__(self, name: str, about: str, *, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._name = name
        self._about = about
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: Iterable[float]) -> None:
        """Count these values."""
        with self._lock:
            self._add(values)

    def replace(self, values: Iterable[float]) -> None:
        """Count these and nothing else: where somebody else, such as the store, remembers all that ever was."""
        with self._lock:
            self._counts = [0] * len(self._counts)
            self._sum = 0.0
            self._add(values)

    def _add(self, values: Iterable[float]) -> None:
        for value in values:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Name the metric, for the registry."""
        return [HistogramMetricFamily(self._name, self._about)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return what was counted."""
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return [
            HistogramMetricFamily(
                self._name, self._about, buckets=list(zip(bounds, map(float, counts), strict=True)), sum_value=total
            )
        ]
