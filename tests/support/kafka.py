"""Brokers for the tests; Apache Kafka is one KRaft node per instance, from any distribution that KAFKA_HOME names."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self

import pytest

from monitor.stream.embedded import HOST, BrokerError, EmbeddedBroker, free_port
from monitor.stream.process import GuardedProcess

# Metadata, version 1, of no topic: length, key 3, version 1, correlation 1, no client id, no topics.
_METADATA = bytes.fromhex("0000000e 0003 0001 00000001 ffff 00000000")


KINDS = ("embedded", "kafka")


def kafka_home() -> str:
    """Return the distribution's folder; skips the test without one."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        pytest.skip("Apache Kafka is not here: set KAFKA_HOME to a Kafka distribution")
    return home


def a_broker(root: Path | None = None) -> EmbeddedBroker | ApacheKafka:
    """Return a broker, not started, of the kind under test: MONITOR_TEST_BROKER is `embedded` or `kafka`."""
    kind = os.environ.get("MONITOR_TEST_BROKER", "embedded")
    if kind not in KINDS:
        pytest.fail(f"MONITOR_TEST_BROKER is {kind!r}: set it to one of {', '.join(KINDS)}")
    return EmbeddedBroker() if kind == "embedded" else ApacheKafka(kafka_home(), root)


class ApacheKafka:
    """A broker that keeps its data and its port over `stop`, `kill` and `start`. `remove` deletes the data.

    The data folder is formatted once per test run and copied; each copy gets a cluster id of its own.
    """

    keeps_data = True
    _template: Path | None = None

    def __init__(
        self,
        home: str | Path,
        root: str | Path | None = None,
        *,
        heap: str = "-Xms64m -Xmx384m",
        start_timeout_s: float = 60.0,
    ) -> None:
        self.home = Path(home).resolve()
        if not (self.home / "bin" / "kafka-server-start.sh").is_file():
            raise BrokerError(f"{home} is no Kafka distribution: KAFKA_HOME must hold bin/kafka-server-start.sh")
        if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
            raise BrokerError("Apache Kafka needs java 17: install openjdk-17-jre-headless")
        self.root = Path(root or tempfile.mkdtemp(prefix="monitor-kafka-"))
        self.root.mkdir(parents=True, exist_ok=True)
        self._timeout_s = start_timeout_s
        self._env = {**os.environ, "KAFKA_HEAP_OPTS": heap, "LOG_DIR": str(self.root / "logs")}
        self.port, self._controller = free_port(), free_port()
        self._properties = self.root / "server.properties"
        self._process: GuardedProcess | None = None

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def output(self) -> str:
        return self._process.output if self._process else ""

    def tool(self, name: str, *args: str) -> str:
        """Run one of the distribution's tools against this broker, such as `kafka-consumer-groups`."""
        argv = [str(self.home / "bin" / f"{name}.sh"), "--bootstrap-server", self.bootstrap, *args]
        return subprocess.run(argv, env=self._env, capture_output=True, text=True, check=True, timeout=60).stdout

    def start(self) -> Self:
        if self.running:
            return self
        if not self._properties.exists():
            self._lay_out()
        argv = [str(self.home / "bin" / "kafka-server-start.sh"), str(self._properties)]
        self._process = GuardedProcess(argv, env=self._env, cwd=self.root).start()
        deadline = time.monotonic() + self._timeout_s
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                output = self.output
                self.kill()
                raise BrokerError(f"Apache Kafka did not start on {self.bootstrap}:\n{output}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(grace_s=20.0)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _answers(self) -> bool:
        """Whether it names a broker: it listens before it does."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as conn:
                conn.sendall(_METADATA)
                answer = conn.makefile("rb").read(12)  # length, correlation, number of brokers
        except OSError:
            return False
        return len(answer) == 12 and int.from_bytes(answer[8:], "big") > 0

    def _lay_out(self) -> None:
        data = self.root / "data"
        shutil.copytree(self._formatted(), data)
        meta = data / "meta.properties"
        meta.write_text(re.sub(r"cluster\.id=.*", f"cluster.id={_kafka_uuid()}", meta.read_text()))
        self._properties.write_text(self._settings(data))

    def _settings(self, data: Path) -> str:
        """The shipped properties with our ports and folder; of two lines with one name Java takes the last."""
        shipped = (self.home / "config" / "server.properties").read_text()
        ours = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "log.dirs": str(data),
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            "num.network.threads": "1",
            "num.io.threads": "2",
            "broker.heartbeat.interval.ms": "300",
            "broker.session.timeout.ms": "1500",  # after a kill the node waits until its old self counts as gone
        }
        return shipped + "\n" + "".join(f"{name}={value}\n" for name, value in ours.items())

    def _formatted(self) -> Path:
        if ApacheKafka._template is None:
            root = Path(tempfile.mkdtemp(prefix="monitor-kafka-formatted-"))
            atexit.register(shutil.rmtree, root, ignore_errors=True)
            data, properties = root / "data", root / "server.properties"
            properties.write_text(self._settings(data))
            argv = [str(self.home / "bin" / "kafka-storage.sh"), "format", "-t", _kafka_uuid(), "-c", str(properties)]
            done = subprocess.run(argv, env=self._env, capture_output=True, text=True, check=False, timeout=60)
            if done.returncode:
                raise BrokerError(f"kafka-storage.sh format failed:\n{done.stdout}{done.stderr}")
            ApacheKafka._template = data
        return ApacheKafka._template


def _kafka_uuid() -> str:
    while True:
        text = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # Kafka's own tools refuse to read such a one from a command line
            return text
