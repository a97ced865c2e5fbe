"""Writes requirements.lock and requirements-dev.lock: `make lock`.

Installs the newest versions that pyproject.toml allows into fresh environments, notes what came, and then asks two
questions, for CPython 3.11 to 3.13 on Linux (x86_64) and macOS (arm64): is the same set of packages needed
there (no marker is missing), and does pip find a wheel of each (nothing has to be compiled)?
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ("hatchling", "editables")
"""What installs the project itself, without pip's isolated (and unlocked) build environment."""

PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {
    "linux": (
        "x86_64",
        [f"manylinux{form}_x86_64" for form in ("_2_28", "_2_27", "_2_17", "_2_12", "_2_5", "2014", "2010", "1")],
    ),
    "darwin": ("arm64", ["macosx_14_0_arm64"]),
}

# Runs inside the fresh environment: which packages does each environment need, and which of them are not here?
NEEDED = """
import importlib.metadata as md, json, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as plain
dists = {plain(dist.metadata["Name"]): dist for dist in md.distributions()}
roots, environments = json.load(sys.stdin)
problems, sets = [], []
for environment in environments:
    seen, todo = set(), [Requirement(root) for root in roots]
    while todo:
        wanted = todo.pop()
        mark = (plain(wanted.name), frozenset(wanted.extras))
        if mark in seen:
            continue
        seen.add(mark)
        if mark[0] not in dists:
            problems.append(f"{wanted} is needed on {environment} and is not locked")
            continue
        for text in dists[mark[0]].requires or []:
            inner = Requirement(text)
            extras = wanted.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({**environment, "extra": one}) for one in extras):
                todo.append(inner)
    sets.append({name for name, _ in seen})
for name in set.union(*sets) - set.intersection(*sets):
    problems.append(f"{name} is not needed everywhere: it would need a marker")
print("\\n".join(problems))
"""


def main() -> None:
    """Write both files, or say what is in the way and write none."""
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(scratch) / "venv" / "bin" / "python"
        _run(sys.executable, "-m", "venv", str(python.parent.parent))
        base = _frozen(python, [str(ROOT), *BUILD], None)
        known = Path(scratch) / "base.txt"
        known.write_text(base)
        dev = _frozen(python, [f"{ROOT}[dev,postgres]"], known)
        for problem in (*_unlocked(python), *_unwheeled(python, dev)):
            sys.exit(f"not locked: {problem}")
    head = "# Made by `make lock` from pyproject.toml; good for CPython 3.11 to 3.13 on Linux x86_64 and macOS arm64.\n"
    (ROOT / "requirements.lock").write_text(head + base)
    (ROOT / "requirements-dev.lock").write_text(head + dev)
    sys.stdout.write(f"requirements.lock: {base.count('==')} packages, requirements-dev.lock: {dev.count('==')}\n")


def _run(*argv: str, given: str | None = None) -> str:
    done = subprocess.run(argv, check=True, text=True, input=given, stdout=subprocess.PIPE)  # noqa: S603 -- our own
    return done.stdout


def _frozen(python: Path, wanted: list[str], constraint: Path | None) -> str:
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    more = ["-c", str(constraint)] if constraint else []
    _run(*pip, "install", "-qq", *more, *wanted)
    lines = _run(*pip, "freeze", "--exclude", "mention-monitor").splitlines()
    return "".join(f"{line}\n" for line in sorted(lines, key=str.lower) if "==" in line)


def _unlocked(python: Path) -> list[str]:
    environments = [
        {
            "python_version": version,
            "python_full_version": f"{version}.1",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": system,
            "platform_system": "Darwin" if system == "darwin" else "Linux",
            "platform_machine": machine,
        }
        for version in PYTHONS
        for system, (machine, _) in PLATFORMS.items()
    ]
    roots = ["mention-monitor[dev,postgres]", *BUILD]
    said = _run(str(python), "-c", NEEDED, given=json.dumps([roots, environments]))
    return said.strip().splitlines()


def _unwheeled(python: Path, locked: str) -> list[str]:
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch) / "all.txt"
        listed.write_text(locked)
        for version in PYTHONS:
            for system, (_, tags) in PLATFORMS.items():
                command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--dry-run"]
                command += [
                    "--no-deps",
                    "--only-binary=:all:",
                    "--python-version",
                    version,
                    "--target",
                    scratch,
                    "-r",
                    str(listed),
                ]
                for tag in tags:
                    command += ["--platform", tag]
                done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 -- our own
                if done.returncode:
                    last = done.stderr.strip().splitlines()[-1]
                    problems.append(f"Python {version} on {system}: {last}")
    return problems


if __name__ == "__main__":
    main()
