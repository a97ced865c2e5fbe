"""A child process that never outlives its parent: how the brokers of the demo and of the tests are run."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The shell starts the command and a guard that reads from the parent's pipe: when the parent goes, however it goes,
# the pipe closes, the read ends and the guard kills the command. Descriptor 3, since background jobs lose descriptor 0.
_GUARD = """
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r _ <&3; kill -9 "$child" 2>/dev/null; } &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill -9 "$guard" 2>/dev/null
exit $status
"""


class GuardedProcess:
    """Runs `argv` in a process group of its own, keeps the last lines that it prints, and ends it with the parent.

    A terminal's Ctrl-C reaches the parent only, which stops its children in the order that it wants. POSIX only.

    >>> with GuardedProcess(["sh", "-c", "echo ready; sleep 60"]) as process:
    ...     process.wait_for("ready", timeout_s=5)
    True
    >>> process.running
    False
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        keep_lines: int = 40,
    ) -> None:
        self._argv = list(argv)
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._lines: deque[str] = deque(maxlen=keep_lines)
        self._news = threading.Condition()
        self._closed = False
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> Self:
        """Start it; raises `FileNotFoundError` only where there is no `sh`."""
        if self.running:
            raise RuntimeError("already started: stop it first")
        self._lines.clear()
        self._closed = False
        self._process = subprocess.Popen(  # noqa: S603 -- the command is ours, and no shell parses it
            ["/bin/sh", "-c", _GUARD, "guard", *self._argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self._argv[0]}", daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 -- set before the thread starts
        assert self._process.stdout is not None  # noqa: S101 -- asked for above
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def wait_for(self, text: str, timeout_s: float) -> bool:
        """Wait until a line holds `text`: True; False when the process ended, or the seconds are over, without it."""

        def said() -> bool:
            return any(text in line for line in self._lines)

        with self._news:
            self._news.wait_for(lambda: said() or self._closed, timeout_s)
            return said()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process group's id, which is its guard's process id; None before the start."""
        return self._process.pid if self._process is not None else None

    @property
    def output(self) -> str:
        """The last lines that it printed."""
        with self._news:
            return "\n".join(self._lines)

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask it to end (SIGTERM), kill what is left after `grace_s`, and return when all of it is gone."""
        self._end(signal.SIGTERM, grace_s)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would, and return when all of it is gone."""
        self._end(signal.SIGKILL, 0.0)

    def _end(self, first: signal.Signals, grace_s: float) -> None:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        self._signal(process.pid, first)
        if grace_s:
            reader.join(grace_s)  # its output closes when the last process of the group is gone
        self._signal(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(5)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = self._reader = None

    @staticmethod
    def _signal(group: int, number: signal.Signals) -> None:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):  # gone already (macOS says "permission" of a group of zombies)
            return

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
