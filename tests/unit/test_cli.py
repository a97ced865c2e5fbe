"""The command line: quick, and plain about mistakes."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

import monitor

COMMANDS = (
    *("score", "watch", "dispatch", "demo", "doctor", "broker", "dead", "offsets", "incident", "serve", "page"),
    *("replay", "simulate", "read", "stories", "model", "rules", "oncall", "store", "spread", "bench"),
)


def _run(*args: str, cwd=None, **environ: str) -> subprocess.CompletedProcess:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(cwd or "/nonexistent"), "COLUMNS": "120", **environ}
    command = [sys.executable, "-m", "monitor", *args]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_help_names_every_command_and_imports_little():
    code = (
        "import sys; sys.argv = ['monitor', '--help']\n"
        "from monitor.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'aiokafka', 'faust', 'numpy', 'onnxruntime', 'sqlalchemy', 'pydantic', 'aiohttp'}\n"
        "heavy = slow & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in (
        "score",
        "watch",
        "dispatch",
        "doctor",
        "broker",
        "dead",
        "offsets",
        "incident",
        "simulate",
        "read",
    ):
        assert f" {command} " in done.stdout


def test_help_is_quick():
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        before = cpu()
        assert _run("--help").returncode == 0
        times.append(cpu() - before)
    assert min(times) < 0.3  # seconds of CPU, whatever else the machine does; 0.15 s


def test_version():
    assert _run("--version").stdout == f"monitor {monitor.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    done = _run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: monitor {command}" in done.stdout
    assert "completion" not in done.stdout  # there is one for all of `monitor` or for nothing


@pytest.mark.parametrize("command", [["score"], ["watch"], ["dispatch"], ["dead", "list"], ["offsets", "show"]])
def test_a_bad_configuration_is_told_in_a_line_without_a_traceback(command, tmp_path):
    (tmp_path / "monitor.yaml").write_text("kafka:\n  bootstrp: x:1\n")
    done = _run(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "monitor: monitor.yaml:2: unknown key 'kafka.bootstrp'; did you mean 'bootstrap'?\n"


def test_a_broker_that_is_not_there_is_told_in_a_line(tmp_path):
    done = _run("dead", "list", cwd=tmp_path, MONITOR_KAFKA__BOOTSTRAP="127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr == ("monitor: no Kafka broker answers at 127.0.0.1:1: start it, or correct kafka.bootstrap\n")


def test_reading_makes_no_store(tmp_path):
    done = _run("incident", "list", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("monitor: there is no store at monitor.sqlite: ")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_refused_with_a_hint():
    done = _run("scor")
    assert done.returncode == 2
    assert "score" in done.stderr


def test_dispatch_without_recipients_says_what_to_do(tmp_path):
    done = _run("dispatch", cwd=tmp_path, MONITOR_HTTP__DISPATCH_PORT="0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("monitor: nobody can be paged: add recipients")


def test_a_store_that_cannot_be_made_is_told_in_a_line(tmp_path):
    done = _run(
        "watch", cwd=tmp_path, MONITOR_STORE__URL="sqlite:////proc/nowhere/x.sqlite", MONITOR_HTTP__WATCH_PORT="0"
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("monitor: ")
    assert "/proc/nowhere" in last
    assert "Traceback" not in done.stderr
