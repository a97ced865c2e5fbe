"""How fast the simulator writes: mentions a second by mode, on one core, and the memory it takes.

Run: python bench/simulate.py [--seconds-of-stream N]
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import IO, cast

from monitor.simulate import STORIES, Settings, Simulation
from monitor.simulate.command import write_lines

RATE = 50_000 * 86_400.0


class Sink:
    """Counts the bytes that are written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | bytearray) -> int:
        """Count `data`."""
        self.size += len(data)
        return len(data)


def measure(name: str, settings: Settings) -> None:
    """Write a stream to nowhere and print what it took."""
    began = time.process_time()
    simulation = Simulation(settings, seed=1)
    ready = time.process_time()
    sink = Sink()
    count = write_lines(simulation, cast("IO[bytes]", sink))
    took = time.process_time() - ready
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:32} {count:>9,} mentions  {count / took:>9,.0f} a core-second  {sink.size / count:>5.0f} bytes each  "
        f"set-up {ready - began:.2f} s  peak {peak:.0f} MiB"
    )


def main() -> None:
    """Measure each mode; the two long streams show that memory stays where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300_000, help="mentions in the long streams")
    count = parser.parse_args().count
    load = Settings(rate=RATE, stories=(), limit=count, seasonal=False)
    measure("the demo's week", Settings())
    measure("a week with every story", Settings(stories=STORIES))
    measure("load, 50,000 mentions a second", load)
    measure("load, three times as long", Settings(rate=RATE, stories=(), limit=3 * count, seasonal=False))
    unique = Settings(rate=RATE, stories=(), limit=count, seasonal=False, reposts=0.0)
    measure("load, no reposts", unique)
    measure(
        "load, 60 % reposts", Settings(rate=RATE, stories=(), limit=count, seasonal=False, replies=0.1, reposts=0.6)
    )


if __name__ == "__main__":
    main()
