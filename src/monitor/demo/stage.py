"""The demo's stage: a folder, a broker, a configuration as anyone would write it, and the three workers."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from ruamel.yaml import YAML

from monitor.stream.embedded import EmbeddedBroker
from monitor.stream.process import GuardedProcess

if TYPE_CHECKING:
    from monitor.config import Settings

WORKERS = ("score", "watch", "dispatch")
SECRET = "MONITOR_DEMO_SECRET"  # noqa: S105 -- the variable's name
PARTITIONS = 1
"""Two partitions are read at their own pace, which at a week a minute is hours apart: the same week would come out a
little different every time."""

SESSION_MS = 1900
"""The embedded broker lets a group wait half of this before it begins, in whole seconds."""

SETTLE_S = 1.5
"""How long the cores are left to the workers at most: where something else keeps them busy, waiting in turn would take
longer than going on side by side."""

RETENTION_HOURS = 24 * 30
"""The summary asks to which story each mention went, the week's first ones too."""

ON_CALL = "on-call"
DESK = "press-desk"


class WorkerEndedError(RuntimeError):
    """A worker ended by itself; the text has its last lines."""


class Stage(Struct):
    """All that runs beside the demo's own process."""

    file: Path
    secret: str
    broker: EmbeddedBroker
    workers: dict[str, GuardedProcess]

    @classmethod
    def build(cls, folder: Path, *, webhook: str, secret: str, brands: Path | None) -> Stage:
        """Make a fresh folder, start the broker, write the configuration and start score and watch."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        broker = EmbeddedBroker().start()
        file = folder / "monitor.yaml"
        with file.open("w") as out:
            YAML().dump(_configuration(folder, broker.bootstrap, webhook, brands), out)
        stage = cls(file, secret, broker, {})
        for name in WORKERS[:-1]:
            stage.start(name)
        return stage

    def settle(self) -> None:
        """Leave the cores to the workers until one asks for its partitions: the broker keeps it waiting for a second.

        At the very first start the model is made ready before that, which takes longer and is not waited for.
        """
        self.workers["score"].wait_for("score_started", SETTLE_S)

    def start(self, name: str) -> None:
        """Start a worker. `build` leaves `dispatch` for later: there are no pages yet, and two cores are busy."""
        argv = [sys.executable, "-m", "monitor", name, "--config", str(self.file)]
        self.workers[name] = GuardedProcess(argv, env=self.environ, keep_lines=200).start()

    @property
    def environ(self) -> dict[str, str]:
        """The workers' environment."""
        return {**os.environ, SECRET: self.secret}

    def settings(self) -> Settings:
        """Read the configuration, as the workers do."""
        from monitor.config import load  # noqa: PLC0415 -- while it is imported here, the workers start

        return load(self.file, self.environ)

    def check(self) -> None:
        """Raise if a worker ended."""
        for name, process in self.workers.items():
            if not process.running:
                last = "\n".join(process.output.strip().splitlines()[-8:])
                raise WorkerEndedError(f"{name} ended by itself; its last lines:\n{last}")

    def stop(self) -> None:
        """Stop the workers, then the broker."""
        for name in reversed(WORKERS):
            if name in self.workers:
                self.workers[name].stop(grace_s=10.0)
        self.broker.stop()


def new_secret() -> str:
    """Return a key to sign the demo's pages with."""
    return secrets.token_hex(16)


def _configuration(folder: Path, bootstrap: str, webhook: str, brands: Path | None) -> dict[str, Any]:
    def person(name: str) -> dict[str, Any]:
        channel = {"name": f"{name}-webhook", "type": "webhook", "url": webhook, "secret_env": SECRET}
        return {"name": name, "channels": [channel]}

    configuration: dict[str, Any] = {
        "kafka": {
            "bootstrap": bootstrap,
            "mentions_partitions": PARTITIONS,
            "readings_partitions": PARTITIONS,
            "session_timeout_ms": SESSION_MS,
        },
        "store": {"url": f"sqlite:///{folder.resolve()}/monitor.sqlite", "id_retention_hours": RETENTION_HOURS},
        "time": {"mode": "replay"},
        "watch": {"first_start": "beginning"},
        "recipients": [person(ON_CALL), person(DESK)],
        "routes": [
            {"to": [ON_CALL], "severity": "page"},
            {"to": [DESK], "severity": "notify", "until": "notify"},
        ],
        "http": {"score_port": 0, "watch_port": 0, "dispatch_port": 0},
        "log": {"format": "json", "level": "info"},
    }
    if brands is not None:
        configuration["brands"] = str(brands.resolve())
    return configuration
