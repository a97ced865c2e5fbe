"""Follows deploy/Dockerfile in a clean root, without Docker, and says how large the result is: `make image`.

Needs root and debootstrap. `FROM debian:bookworm-slim` becomes a minimal Debian made by debootstrap (kept in the cache
folder for the next time); RUN happens by chroot, COPY by copying what .dockerignore lets through. The result is tried:
its user starts its command on a root file system that is read-only.

The way to the package registries (pip's and apt's settings, certificates) is this machine's, and does not stay in the
result.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
BASES = {"debian:bookworm-slim": "bookworm"}
BORROWED = {
    "/etc/resolv.conf": "etc/resolv.conf",
    "/etc/pip.conf": "etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt": "run/authorities.crt",
}
"""This machine's files that a step sees, and where."""

CHROOT = shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin") or "chroot"
MOST_MB = 600.0


class Stage(NamedTuple):
    """An image in the making."""

    root: Path
    env: dict[str, str]
    state: dict[str, str]


class ImageError(Exception):
    """A step failed, or the Dockerfile says something that is not understood here."""


def steps(text: str) -> list[tuple[str, str]]:
    r"""Return the instructions of a Dockerfile with their arguments, lines joined and comments left out.

    >>> steps("# x" + chr(10) + "RUN a " + chr(92) + chr(10) + "    b" + chr(10) + "USER 1:1")
    [('RUN', 'a     b'), ('USER', '1:1')]
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def build(work: Path, cache: Path) -> Stage:
    """Follow the Dockerfile; returns the last stage. Raises `ImageError`."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for word, rest in steps(DOCKERFILE.read_text()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = Stage(_clean_root(work / (name or "final"), cache, base), {"PATH": _PATH}, {"cwd": "/", "user": ""})
            stages[name] = stage
            continue
        if stage is None:
            raise ImageError(f"{word} comes before FROM")
        began = time.monotonic()
        _step(stage, stages, word, rest)
        if word in {"RUN", "COPY"}:
            _say(f"{time.monotonic() - began:6.1f} s  {word} {rest[:90]}")
    if stage is None:
        raise ImageError("the Dockerfile has no FROM")
    return stage


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _step(stage: Stage, stages: dict[str, Stage], word: str, rest: str) -> None:
    match word:
        case "SHELL":
            stage.state["shell"] = rest
        case "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                stage.env[name] = value
        case "WORKDIR":
            stage.state["cwd"] = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.state["user"] = rest
        case "RUN":
            shell = json.loads(stage.state.get("shell", '["/bin/sh", "-c"]'))
            _chroot(stage, [*shell, rest], borrow=True)
        case "COPY":
            _copy(stage, stages, shlex.split(rest))
        case "ENTRYPOINT" | "CMD" | "HEALTHCHECK":
            stage.state[word] = rest
        case "LABEL" | "EXPOSE" | "VOLUME" | "STOPSIGNAL":
            pass
        case _:
            raise ImageError(f"{word} is not understood")


def _clean_root(target: Path, cache: Path, base: str) -> Path:
    suite = BASES.get(base.strip())
    if suite is None:
        raise ImageError(f"only {', '.join(BASES)} can be made here, not {base}")
    kept = cache / suite
    if not (kept / "etc" / "debian_version").exists():
        _say(f"debootstrap {suite} into {kept}")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        _run(["debootstrap", "--variant=minbase", suite, str(kept)])
    shutil.rmtree(target, ignore_errors=True)
    _run(["cp", "--archive", "--reflink=auto", str(kept), str(target)])
    # As the slim images do: no documentation, no other languages.
    for cached in (target / "var/cache/apt").glob("*.bin"):
        cached.unlink()
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists",
                   "var/cache/apt/archives"):  # fmt: skip
        shutil.rmtree(target / folder, ignore_errors=True)
        (target / folder).mkdir(parents=True)
    (target / "etc/apt/apt.conf.d/docker-clean").write_text(_DOCKER_CLEAN)
    (target / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (target / "usr/sbin/policy-rc.d").chmod(0o755)
    return target


_DOCKER_CLEAN = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
"""What keeps apt's caches out of the official images."""


def _copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    *sources, to = words
    source_root = ROOT
    if sources[0].startswith("--from="):
        source_root = stages[sources.pop(0).removeprefix("--from=")].root
    folder = stage.root / (to if to.startswith("/") else f"{stage.state['cwd']}/{to}").lstrip("/")
    for source in sources:
        found = source_root / source.lstrip("/")
        target = folder / found.name if to.endswith("/") else folder
        target.parent.mkdir(parents=True, exist_ok=True)
        if source_root != ROOT:
            _run(["cp", "--archive", str(found), str(target)])
        elif found.is_dir():
            shutil.copytree(found, target, dirs_exist_ok=True, ignore=_ignored)
        else:
            shutil.copy(found, target)


def _ignored(_: str, names: list[str]) -> set[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}


def _chroot(stage: Stage, argv: list[str], *, borrow: bool = False, user: str = "", wrap: str = "") -> str:
    """Run a command in the root, in a mount namespace of its own; returns what it wrote."""
    root = str(stage.root)
    passed = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and borrow}
    mounts = [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    for file, place in BORROWED.items() if borrow else ():
        if Path(file).exists():
            inside = stage.root / place
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
            mounts.append(f"mount --bind {file} {inside}")
    if borrow:
        passed["PIP_CERT"] = "/run/authorities.crt"
    if passed.get("PIP_FIND_LINKS") and not Path(passed["PIP_FIND_LINKS"]).is_dir():
        del passed["PIP_FIND_LINKS"]
    env = {"HOME": "/root", **stage.env, **passed}
    command = ["env", "-i", *(f"{name}={value}" for name, value in env.items())]
    command += [CHROOT, *([f"--userspec={user}"] if user else []), root]
    command += ["/bin/sh", "-c", f"cd {shlex.quote(stage.state['cwd'])} && exec {shlex.join(argv)}"]
    script = " && ".join([*mounts, *([wrap] if wrap else []), shlex.join(command)])
    return _run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script])


def try_out(stage: Stage) -> list[str]:
    """Start the image's command as its user on a read-only root; returns what was seen."""
    for borrowed in BORROWED.values():
        file = stage.root / borrowed
        if file.exists() and not file.stat().st_size:
            file.unlink()
    (stage.root / "usr/sbin/policy-rc.d").unlink()
    root = stage.root
    # Its /tmp is a memory of its own, as the orchestrator's is; all the rest cannot be written.
    own = f"mount -t tmpfs own {root}{stage.state['cwd']}"
    bind = f"mount --bind {root} {root} && {own} && mount -o remount,ro,bind {root}"
    mounts = f"{bind} && mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev"

    def run(*argv: str) -> str:
        env = [f"{name}={value}" for name, value in stage.env.items() if name != "MONITOR_CONFIG"]
        command = ["env", "-i", *env, CHROOT, f"--userspec={stage.state['user']}", str(root), "/bin/sh", "-c"]
        command.append(f"cd {stage.state['cwd']} && exec {shlex.join(argv)}")
        script = f"{mounts} && {shlex.join(command)}"
        return _run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script])

    entry = json.loads(stage.state["ENTRYPOINT"])
    seen = [run(*entry, "--version").strip()]
    reading = run("python", "-c", _READ).strip()
    seen += [f"reads: {reading}", f"runs as {run('id', '-u').strip()}"]
    compilers = run("sh", "-c", "command -v gcc cc g++ make pip || true").strip()
    if compilers:
        raise ImageError(f"the image holds what it should not: {compilers}")
    left = [path for path in root.glob("opt/monitor/lib/*/site-packages/**/tests") if path.is_dir()]
    if left:
        raise ImageError(f"the image holds other packages' tests: {', '.join(map(str, left[:3]))}")
    if run("sh", "-c", "touch /opt/monitor/x 2>/dev/null && echo writable || true").strip():
        raise ImageError("the root file system can be written")
    return seen


_READ = (
    "from monitor.sentiment import load_scorer; s = load_scorer(None, threads=1); "
    "r = s.read(['nobody answers me, worst hotel ever'], ['en'])[0]; print(s.name, r.complaint)"
)


def sizes(root: Path) -> tuple[float, list[tuple[str, float]]]:
    """Return the megabytes of a root, and of what takes most of them."""
    total = _megabytes(root)
    site = next(root.glob("opt/monitor/lib/python3*/site-packages"))
    parts = {path.name: _megabytes(path) for path in site.iterdir() if path.is_dir()}
    parts["(Debian and Python)"] = total - _megabytes(root / "opt/monitor")
    return total, sorted(parts.items(), key=lambda part: -part[1])[:14]


def _megabytes(path: Path) -> float:
    return int(_run(["du", "--summarize", "--block-size=1", "-x", str(path)]).split()[0]) / 1e6


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    if done.returncode:
        raise ImageError(f"{shlex.join(argv)[:300]}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Build, try, measure; exit code 1 if a step fails or the result is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/monitor-image"), help="where to build")  # noqa: S108 -- root's own
    parser.add_argument("--keep", action="store_true", help="leave the result there")
    options = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        _say("needs root and debootstrap (Debian: apt install debootstrap)")
        return 2
    work: Path = options.work.resolve()
    try:
        stage = build(work, work / "cache")
        for line in try_out(stage):
            _say(line)
        total, parts = sizes(stage.root)
    except ImageError as error:
        _say(str(error))
        return 1
    finally:
        if not options.keep:
            for name in ("build", "final"):
                shutil.rmtree(work / name, ignore_errors=True)
    for name, size in parts:
        _say(f"{size:8.1f} MB  {name}")
    _say(f"{total:8.1f} MB  in all (at most {MOST_MB:g})")
    return 0 if total < MOST_MB else 1


if __name__ == "__main__":
    sys.exit(main())
