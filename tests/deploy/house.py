"""What an SRE's house has: workers as processes, a Prometheus and an Alertmanager of Debian's, a duty desk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from monitor.stream.embedded import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def until(what: str, holds: Callable[[], Any], patience_s: float, *, pause_s: float = 0.25) -> float:
    """Wait until something holds; returns the seconds that it took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience_s:
            raise AssertionError(f"not within {patience_s:.0f} s: {what}")
        time.sleep(pause_s)
    return time.monotonic() - began


def slug(name: str) -> str:
    """Return a name as an id."""
    return name.lower().replace(" ", "-")


class Program:
    """A process with its output in a file; started, killed and started again."""

    def __init__(self, name: str, argv: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self.name, self._argv, self._folder, self._env = name, argv, folder, env
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self._argv, cwd=self._folder, env=self._env, stdout=out, stderr=out)
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self, number: int = signal.SIGKILL, patience_s: float = 60.0) -> None:
        if self.process is not None:
            if self.running:
                self.process.send_signal(number)
            self.process.wait(patience_s)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Worker(Program):
    """One of ours; `port` is its health and metrics."""

    def __init__(self, role: str, config: Path, port: int, env: dict[str, str] | None = None, name: str = "") -> None:
        argv = [sys.executable, "-m", "monitor", role, "--config", str(config)]
        own = {**os.environ, **(env or {}), f"MONITOR_HTTP__{role.upper()}_PORT": str(port)}
        super().__init__(name or role, argv, config.parent, own)
        self.role, self.port = role, port

    def ready(self) -> bool:
        try:
            return bool(fetch(f"http://127.0.0.1:{self.port}/health/ready"))
        except OSError:
            assert self.running, f"{self.name} ended:\n{self.tail()}"
            return False


def fetch(url: str, timeout_s: float = 5.0) -> Any:
    """Get JSON."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 -- our own addresses
        return json.loads(answer.read())


class Desk:
    """Hears of pages (`/pages`) and of alerts (`/alerts`), and may be broken."""

    def __init__(self) -> None:
        self.pages: list[dict[str, Any]] = []
        self.alerts: list[tuple[float, dict[str, Any]]] = []
        self.broken = False
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = 200
                if self.path == "/pages":
                    code = 503 if desk.broken else 200
                    if code == 200:
                        desk.pages.append(body)
                else:
                    desk.alerts += [(time.monotonic(), alert) for alert in body["alerts"]]
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def told(self, name: str, status: str, since: float = 0.0, **labels: str) -> dict[str, Any] | None:
        """Return the alert of that name and status that came after `since`."""
        for at, alert in list(self.alerts):
            matches = alert["labels"]["alertname"] == name and labels.items() <= alert["labels"].items()
            if at >= since and matches and alert["status"] == status:
                return alert
        return None


class Prometheus(Program):
    """Debian's, scraping each second, with rules and an Alertmanager."""

    def __init__(
        self, binary: str, folder: Path, targets: dict[str, list[int]], rules: dict[str, Any], alertmanager: str
    ) -> None:
        self.port = free_port()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
                for job, ports in targets.items()
            ],
        }
        for name, content in (("prometheus.yaml", config), ("rules.yaml", rules)):
            with (folder / name).open("w") as out:
                YAML().dump(content, out)
        argv = [binary, "--config.file=prometheus.yaml", f"--web.listen-address=127.0.0.1:{self.port}"]
        argv += [f"--storage.tsdb.path={folder / 'tsdb'}", "--rules.alert.resend-delay=1s"]
        super().__init__("prometheus", argv, folder)

    def ready(self) -> bool:
        try:
            return bool(self.query("vector(1)"))
        except OSError:
            return False

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        found = fetch(url)["data"]
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]


class Alertmanager(Program):
    """Debian's, telling the desk of everything at once."""

    def __init__(self, binary: str, folder: Path, desk: str) -> None:
        self.port = free_port()
        config = {
            "route": {
                "receiver": "desk",
                "group_by": ["..."],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "desk", "webhook_configs": [{"url": f"{desk}/alerts", "send_resolved": True}]}],
        }
        with (folder / "alertmanager.yaml").open("w") as out:
            YAML().dump(config, out)
        argv = [binary, "--config.file=alertmanager.yaml", f"--web.listen-address=127.0.0.1:{self.port}"]
        argv += [f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="]
        super().__init__("alertmanager", argv, folder)

    def ready(self) -> bool:
        try:
            return bool(fetch(f"http://127.0.0.1:{self.port}/api/v2/status"))
        except OSError:
            return False
