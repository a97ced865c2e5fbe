"""The workers as an orchestrator runs them: real processes, started again whenever they end, whatever ended them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

Role = Literal["score", "watch", "dispatch"]
ROLES: tuple[Role, ...] = ("score", "watch", "dispatch")
BACKOFF_S = 1.0
"""Before the second start in a row of a worker that ended by itself, as Kubernetes would wait."""


class Ending(Struct, frozen=True, kw_only=True):
    """How one process ended. `asked`: the signal it was sent (None: nobody asked); `took_s` since then.

    `begun`: it had come so far as to listen for signals.
    """

    role: Role
    code: int
    asked: int | None
    took_s: float
    lived_s: float
    begun: bool
    last: str

    @property
    def clean(self) -> bool:
        """Whether it ended as it was told, and in time."""
        if self.asked == signal.SIGKILL:
            return True
        if self.asked == signal.SIGTERM:
            return self.took_s < 10 and (self.code == 0 or (self.code == -signal.SIGTERM and not self.begun))
        return False


class Member:
    """One worker, over all the processes that it is in turn."""

    def __init__(self, role: Role, number: int, config: Path, logs: Path, env: dict[str, str]) -> None:
        self.role: Role = role
        self.name = f"{role}-{number}"
        self.log = logs / f"{self.name}.log"
        self._argv = [sys.executable, "-m", "monitor", role, "--config", str(config)]
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: tuple[int, float] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self.started_at = 0.0
        self.endings: list[Ending] = []

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        self._stopping = False
        self._keeper = asyncio.create_task(self._keep())

    def send(self, number: int) -> bool:
        """Send a signal; False if there is no process at the moment, or it is ending already."""
        pid = self.pid
        if pid is None or (number == signal.SIGTERM and self._asked is not None):
            return False
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._asked = (number, time.monotonic())
        os.kill(pid, number)
        return True

    async def stop(self) -> None:
        """Ask it to end for good, and wait; what is left after 15 s is killed."""
        self._stopping = True
        if self.pid is not None and self._asked is None:
            self.send(signal.SIGTERM)
        if self._keeper is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._keeper), 15)
            except TimeoutError:
                self.send(signal.SIGKILL)
                await self._keeper

    def kill(self) -> None:
        """End it at once, from a `finally`."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def said(self, text: str) -> bool:
        """Whether the process that runs now has logged this."""
        if self._process is None:
            return False
        with self.log.open("rb") as file:
            return text.encode() in file.read().rpartition(b"=== started")[2]

    async def until(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait until the process that runs now logs this."""
        deadline = time.monotonic() + timeout_s
        while not self.said(text):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not say {text!r} within {timeout_s:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.05)

    def tail(self, lines: int = 12) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def _keep(self) -> None:
        while not self._stopping:
            with self.log.open("ab") as out:
                out.write(b"=== started\n")
                out.flush()
                self._asked = None
                self._process = subprocess.Popen(  # noqa: ASYNC220 -- returns at once; signals need the bare process
                    self._argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._env, start_new_session=True
                )
            self.started_at = began = time.monotonic()
            while self._process.poll() is None:  # noqa: ASYNC110 -- processes have no event to wait for
                await asyncio.sleep(0.02)
            now = time.monotonic()
            asked, since = self._asked or (None, now)
            ending = Ending(
                role=self.role,
                code=self._process.returncode,
                asked=asked,
                took_s=now - since,
                lived_s=now - began,
                begun=self.said("worker_started"),
                last="" if asked == signal.SIGKILL else self.tail(40),
            )
            self.endings.append(ending)
            if asked is None and not self._stopping:
                await asyncio.sleep(BACKOFF_S)
