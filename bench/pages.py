"""Delivery under fire: incidents in a minute, receivers failing half of the time, a dispatcher killed with kill -9.

Prints, by kind of channel: pages, sends, repeats (marked), the delay from decision to receipt. Exit code 1 where a
promise was broken. `make bench` calls it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the harness stands beside the tests

from tests.chaos.pages import KINDS, KNOWS, Outcome, run


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="in which they are opened")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="monitor-pages-") as folder:
        said = asyncio.run(
            run(
                Path(folder),
                incidents=wanted.incidents,
                seconds=wanted.seconds,
                kills=wanted.kills,
                policy={},
                seed=wanted.seed,
            )
        )
    show(said, wanted.incidents)
    return 1 if said.problems else 0


def show(said: Outcome, incidents: int) -> None:
    """Print the table."""
    print(f"delivery: {incidents} incidents, receivers failing half of the time, {said.kills} kills, default policy")
    print(f"{'channel':<14}{'pages':>7}{'sends':>7}{'repeats':>9}{'marked':>8}{'p50 s':>8}{'p90 s':>8}{'p99 s':>8}")
    for kind in KINDS:
        delays = said.delays[kind]
        marks = statistics.quantiles(delays, n=100, method="inclusive") if len(delays) > 1 else [0.0] * 99
        marked = "dropped" if kind in KNOWS else str(said.marked[kind])
        print(
            f"{kind:<14}{said.pages[kind]:>7}{said.sends[kind]:>7}{said.repeats[kind]:>9}{marked:>8}"
            f"{marks[49]:>8.1f}{marks[89]:>8.1f}{marks[98]:>8.1f}"
        )
    total = sum(said.pages.values())
    print(f"{total} pages in {said.seconds:.0f} s: {total / said.seconds:.1f} pages/s; {said.updates} messages updated")
    print("settled: " + ", ".join(f"{number} {status}" for status, number in sorted(said.statuses.items())))
    for problem in said.problems:
        print(f"BROKEN: {problem}")


if __name__ == "__main__":
    sys.exit(main())
