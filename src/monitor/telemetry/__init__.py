"""What the workers tell of themselves: metrics for Prometheus, one structured line per decision in the log, health.

`Metrics` holds the numbers, `Health` knows whether every stage still makes progress, `TelemetryServer` serves both;
`configure_logs` sets up the log; `run_worker` frames a worker process with all of it. Nothing here knows the other
rooms, and nothing that a person wrote goes out here.
"""

from __future__ import annotations

from monitor.telemetry.health import Health
from monitor.telemetry.http import TelemetryServer
from monitor.telemetry.labels import Bounded
from monitor.telemetry.logs import configure_logs
from monitor.telemetry.metrics import Metrics
from monitor.telemetry.worker import Worker, run_worker, serve

__all__ = ["Bounded", "Health", "Metrics", "TelemetryServer", "Worker", "configure_logs", "run_worker", "serve"]
