"""A PostgreSQL server of the tests' own, in a folder, from Debian's binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from monitor.stream.embedded import free_port


class Postgres:
    """Started by `with`; ends, and is removed, with it. As root it runs as `postgres`, for it refuses to be root."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="monitor-postgres-"))
        self._port = free_port()

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
        data = self._folder / "data"
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        )
        self._run("pg_ctl", "-D", str(data), "-l", str(self._folder / "log"), "-o", options, "-w", "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

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
