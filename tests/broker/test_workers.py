"""The three workers as processes: they become ready, work, tell of it, and end cleanly when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from monitor.stream.embedded import free_port
from tests.support.stores import url_for

pytestmark = [pytest.mark.broker, pytest.mark.store]
WORKERS = ("score", "watch", "dispatch")
PATIENCE_S = 60.0


class Running:
    """A worker process, its log lines as objects, and its health."""

    def __init__(self, name: str, environ: dict[str, str], folder):
        command = [sys.executable, "-m", "monitor", name]
        self._process = subprocess.Popen(command, env=environ, cwd=folder, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict] = []
        self.raw: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stderr:
            self.raw.append(line)
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def _port(self) -> int:
        for line in list(self.lines):
            if line["event"] == "worker_started":
                return line["health_port"]
        raise OSError("not listening yet")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port()}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def until(self, what: str, holds) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert self._process.poll() is None, f"it ended: {''.join(self.raw[-20:])}"
            assert time.monotonic() < deadline, (
                f"not {what} in time: {self.get('/health/ready')} {''.join(self.raw[-20:])}"
            )
            time.sleep(0.1)

    def sample(self, name: str, **labels: str) -> float:
        status, text = self.get("/metrics")
        if status != 200:
            return 0.0
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def terminate(self) -> tuple[int, float]:
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(15)
        self._reader.join(5)
        return code, time.monotonic() - began

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def environ(broker, prefix, tmp_path) -> dict[str, str]:
    hook = f"{{name: hook, type: webhook, url: 'http://127.0.0.1:{free_port()}/x', secret_env: KEY}}"
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "KEY": "signs",
        "MONITOR_KAFKA__BOOTSTRAP": broker.bootstrap,
        **{
            f"MONITOR_KAFKA__TOPICS__{topic.upper()}": f"{prefix}-{topic}"
            for topic in ("mentions", "readings", "dead", "incidents")
        },
        "MONITOR_KAFKA__SCORE_GROUP": f"{prefix}-score",
        "MONITOR_KAFKA__WATCH_GROUP": f"{prefix}-watch",
        "MONITOR_STORE__URL": url_for(tmp_path / "store.sqlite"),
        "MONITOR_MODEL__STUB": "true",
        "MONITOR_WATCH__FIRST_START": "beginning",
        "MONITOR_RECIPIENTS": f"[{{name: ana, channels: [{hook}]}}]",
        "MONITOR_LOG__FORMAT": "json",
        **{f"MONITOR_HTTP__{name.upper()}_PORT": "0" for name in WORKERS},
    }


@pytest.fixture
def workers(environ, tmp_path):
    running = {name: Running(name, environ, tmp_path) for name in WORKERS}
    yield running
    for one in running.values():
        one.kill()


async def _publish(bootstrap: str, topic: str, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in range(count):
            mention = {
                "id": str(number),
                "source": "twitter",
                "text": f"Nobody at desk {number} answers me",
                "published_at": datetime.now(UTC).isoformat(),
                "brand": "Aurora",
                "author": {"handle": "the_quill"},
            }
            await producer.send_and_wait(topic, json.dumps(mention).encode(), partition=number % 4)
        await producer.send_and_wait(topic, b"{oops", partition=0)


async def test_they_become_ready_work_tell_of_it_and_stop(workers, environ):
    score, watch = workers["score"], workers["watch"]
    for worker in workers.values():
        worker.until("ready", lambda worker=worker: worker.get("/health/ready")[0] == 200)
        assert worker.get("/health/live")[0] == 200
    await _publish(environ["MONITOR_KAFKA__BOOTSTRAP"], environ["MONITOR_KAFKA__TOPICS__MENTIONS"], 20)
    watch.until("stored", lambda: watch.sample("monitor_watched_total", account="stored") == 20)
    score.until("counted", lambda: score.sample("monitor_mentions_total", outcome="read") == 20)
    assert score.sample("monitor_dead_total", reason="not_json") == 1
    assert score.sample("monitor_build_info") == 1
    assert watch.sample("monitor_store_seconds_count") > 0
    assert watch.sample("monitor_event_lag_seconds", partition="0") < 60
    for name, worker in workers.items():
        code, seconds = worker.terminate()
        assert code == 0, (name, "".join(worker.raw[-20:]))
        assert seconds < 10, name
        events = [line["event"] for line in worker.lines]
        assert events[0] == "worker_started"
        assert events[-1] == "worker_stopped"
        assert not [line for line in worker.raw if "Traceback" in line or "quill" in line], name


def test_a_taken_port_ends_a_worker_with_a_line(environ, tmp_path, broker):
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "dispatch"],
        env={**environ, "MONITOR_HTTP__DISPATCH_PORT": str(port)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr
