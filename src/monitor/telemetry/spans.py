"""Spans for OpenTelemetry: what a worker did, for how long, and for mentions of which traces.

Nothing of OpenTelemetry is imported unless `tracing.spans` is set. Where spans go, and which share of them, is said by
OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and so on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from monitor.telemetry.trace import HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config.settings import TracingSettings

MOST_LINKS = 32
"""Links of one span; a round of many traced mentions names the first."""


class Spans:
    """Tells nobody; what a worker has that is not configured to tell."""

    def tell(
        self, name: str, seconds: float, *, parent: str | None = None, links: Sequence[str] = (), **attributes: Any
    ) -> None:
        """Tell of something that ends now and took so long, in the trace `parent`, or linked to several."""

    def close(self) -> None:
        """Send what waits."""


class OpenTelemetrySpans(Spans):
    """Tells an OpenTelemetry tracer provider; without one it makes one that exports over OTLP and HTTP."""

    def __init__(self, worker: str, version: str = "", *, provider: Any = None) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- an extra
        from opentelemetry.trace import Link, get_current_span  # noqa: PLC0415 -- an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 -- an extra
            TraceContextTextMapPropagator,
        )

        if provider is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- an extra
                OTLPSpanExporter,
            )

            about = {"service.name": f"monitor-{worker}", "service.version": version}
            provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._provider = provider
        self._tracer = provider.get_tracer("mention-monitor", version)
        self._propagator, self._link, self._span_in = TraceContextTextMapPropagator(), Link, get_current_span

    def tell(
        self, name: str, seconds: float, *, parent: str | None = None, links: Sequence[str] = (), **attributes: Any
    ) -> None:
        """Make the span and end it."""
        now = time.time_ns()
        linked = [
            self._link(self._span_in(self._context(trace)).get_span_context())
            for trace in dict.fromkeys(links[:MOST_LINKS])
        ]
        span = self._tracer.start_span(
            name,
            context=self._context(parent) if parent else None,
            links=linked,
            attributes=attributes,
            start_time=now - int(seconds * 1e9),
        )
        span.end(end_time=now)

    def close(self) -> None:
        """Send what waits, for a moment: a collector that is away must not hold the worker up."""
        self._provider.force_flush(2_000)
        self._provider.shutdown()

    def _context(self, traceparent: str) -> Any:
        return self._propagator.extract({HEADER: traceparent})


def spans_of(settings: TracingSettings, worker: str, version: str = "") -> Spans:
    """Return what tells of a worker's spans, as configured."""
    return OpenTelemetrySpans(worker, version) if settings.spans else Spans()
