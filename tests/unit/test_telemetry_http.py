"""The web server of a worker, asked over a real connection."""

from __future__ import annotations

import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.telemetry import Health, Metrics, TelemetryServer
from monitor.telemetry.http import TelemetryError


@pytest.fixture
async def served():
    health, metrics = Health(stuck_after_s=60), Metrics(version="1.2.3")
    metrics.watch_health(health)
    async with TelemetryServer(health, metrics) as server, aiohttp.ClientSession() as session:
        yield health, metrics, session, f"http://127.0.0.1:{server.port}"


async def _get(session, url: str, **headers: str) -> tuple[int, str]:
    async with session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_live_and_ready_answer_by_status(served):
    health, _, session, base = served
    health.need("model")
    assert (await _get(session, f"{base}/health/live"))[0] == 200
    status, text = await _get(session, f"{base}/health/ready")
    assert (status, text) == (503, '{"ok": false, "details": {"model": "not yet"}}')
    health.ready("model")
    assert (await _get(session, f"{base}/health/ready"))[0] == 200


async def test_a_stuck_stage_is_not_alive():
    now = time.monotonic()
    health = Health(stuck_after_s=60, clock=lambda: now)
    health.beat("score")
    now += 100
    async with TelemetryServer(health, Metrics()) as server, aiohttp.ClientSession() as session:
        status, text = await _get(session, f"http://127.0.0.1:{server.port}/health/live")
    assert status == 503
    assert "no progress for 100 s" in text


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
async def test_metrics_are_in_prometheus_format(served, accept):
    health, metrics, session, base = served
    health.beat("score")
    metrics.score.mentions.labels("read", "twitter").inc(3)
    status, text = await _get(session, f"{base}/metrics", Accept=accept)
    assert status == 200
    assert 'monitor_mentions_total{outcome="read",source="twitter"} 3.0' in text
    assert 'monitor_build_info{version="1.2.3"} 1.0' in text
    assert 'monitor_progress_age_seconds{stage="score"}' in text
    assert "process_resident_memory_bytes" in text or "process_" not in text  # only Linux tells


async def test_a_worker_shows_only_what_it_does(served):
    _, metrics, session, base = served
    metrics.pages.tries.labels("hook", "accepted").inc()
    _, text = await _get(session, f"{base}/metrics")
    assert "monitor_page_tries_total" in text
    assert "monitor_mentions_total" not in text


async def test_a_taken_port_says_what_to_do(served):
    base = served[3]
    port = int(base.rsplit(":", 1)[1])
    with pytest.raises(TelemetryError, match=f"127.0.0.1:{port} cannot be listened on .* set another port"):
        await TelemetryServer(Health(), Metrics(), port=port).start()


async def test_no_port_serves_nothing():
    async with TelemetryServer(Health(), Metrics(), port=None) as server:
        assert server.port is None


def test_names_follow_the_rules():
    metrics = Metrics(process=False)
    _ = metrics.score, metrics.watch, metrics.pages
    from prometheus_client import generate_latest  # noqa: PLC0415 -- one test

    families = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    assert len(families) > 25
    for family in families:
        assert family.name.startswith("monitor_"), family.name
        assert family.documentation, family.name
        assert not family.name.endswith(("_ms", "_millis", "_milliseconds", "_kb")), family.name
