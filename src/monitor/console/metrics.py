"""The numbers of `monitor serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST"})


class ApiMetrics:
    """Requests by route (its pattern, never what stands in it), method and answer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "monitor_api_requests_total",
            "Requests to the API and to the links of pages, by route, method and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "monitor_api_request_seconds",
            "Seconds that a request took.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)
