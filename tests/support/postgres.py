"""A PostgreSQL server of the tests' own, in a folder, from Debian's binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, Self

from monitor.stream.embedded import free_port


class Postgres:
    """Started by `with`; ends, and is removed, with it. As root it runs as `postgres`, for it refuses to be root."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="monitor-postgres-"))
        self._data = self._folder / "data"
        self._port = free_port()
        self._running = False

    @staticmethod
    def binaries() -> Path | None:
        """Return where the newest server's programs are, or None."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not found or (os.geteuid() == 0 and not _has_user("postgres")):
            return None
        return found[-1].parent

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        data = str(self._data)
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._running:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it where it was before."""
        options = (  # many tests leave a connection or two to whoever clears up
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
            " -c max_connections=400"
        )
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options, "-w", "start")
        self._running = True

    def stop(self, mode: Literal["fast", "immediate"] = "immediate") -> None:
        """Stop it: `immediate` is what a crash leaves behind, `fast` breaks connections off and writes all."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "stop")
        self._running = False

    def copy(self) -> Path:
        """Stop it, copy its data, start it again; returns the copy: what a backup is."""
        self.stop("fast")
        copied = self._folder / f"copy-{len(list(self._folder.glob('copy-*')))}"
        self._run_tool("cp", "-a", str(self._data), str(copied))
        self.start()
        return copied

    def restore(self, copied: Path) -> None:
        """Crash it, put a copy in the place of its data, and start it."""
        self.stop("immediate")
        shutil.rmtree(self._data)
        self._run_tool("cp", "-a", str(copied), str(self._data))
        self.start()

    def _run_tool(self, *argv: str) -> None:
        subprocess.run(argv, user="postgres" if os.geteuid() == 0 else None, check=True, cwd="/", timeout=120)

    def _run(self, name: str, *args: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        argv = [str(self._binaries / name), *args]
        # A server keeps what it inherits open: it must not hold the pipes of this test.
        with (self._folder / f"{name}.out").open("w") as out:
            done = subprocess.run(argv, user=user, cwd="/", stdout=out, stderr=out, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{(self._folder / f'{name}.out').read_text()}")


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
