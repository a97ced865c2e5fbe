"""A worker's end: it stops when asked, and it ends even if something in it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FRAME = """
import asyncio, sys, time
import monitor.telemetry.worker as frame
frame.GRACE_S = float(sys.argv[1])

async def obedient(worker):
    worker.health.beat("work")
    await worker.stop.wait()

async def deaf(worker):
    await asyncio.sleep(600)

async def stuck(worker):
    await asyncio.gather(asyncio.to_thread(time.sleep, 600), worker.stop.wait())

async def failing(worker):
    raise ValueError("broken")

frame.run_worker(
    "test", globals()[sys.argv[2]], host="127.0.0.1", port=0, stuck_after_s=90, log_format="json", log_level="info"
)
"""


def _start(kind: str, grace_s: float) -> subprocess.Popen:
    argv = [sys.executable, "-c", FRAME, str(grace_s), kind]
    running = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert "worker_started" in running.stderr.readline()
    return running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked(number):
    running = _start("obedient", 9)
    running.send_signal(number)
    assert running.wait(8) == 0
    assert "worker_stopped" in running.stderr.read()


@pytest.mark.parametrize("kind", ["deaf", "stuck"])
def test_it_ends_even_if_something_in_it_does_not(kind):
    running = _start(kind, 0.3)
    began = time.monotonic()
    running.terminate()
    assert running.wait(8) == 3
    assert time.monotonic() - began < 8
    assert "worker_cut_off" in running.stderr.read()


def test_asked_twice_it_ends_at_once():
    running = _start("deaf", 600)
    running.terminate()
    assert "worker_stopping" in running.stderr.readline()
    running.terminate()
    assert running.wait(8) == 3


def test_an_error_comes_out():
    running = _start("failing", 9)
    assert running.wait(8) == 1
    assert "ValueError: broken" in running.stderr.read()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_numpy_keeps_no_second_thread_busy():
    code = "import monitor, numpy as n, os; a = n.ones((800, 800)); a @ a; print(len(os.listdir('/proc/self/task')))"
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"
