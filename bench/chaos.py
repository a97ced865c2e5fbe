"""`make chaos`: kill everything, many times, with the real model, on both brokers, and add the account up.

Prints a line a run: what was published, what was killed, the account as expected and as it is, the pages. Exit code 1
where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the harness stands beside the tests

from monitor.sentiment.weights import PACKAGED
from monitor.stream.embedded import EmbeddedBroker
from tests.chaos.run import Report, plan, run
from tests.chaos.script import Script, write
from tests.chaos.stage import Stage
from tests.support.kafka import ApacheKafka

COLUMNS = ("broker", "model", "mentions", "faults", "expected", "got", "pages", "arrived", "raw repeats", "s", "kept")


async def one(kind: str, script: Script, *, stub: bool, each: int, seed: int, away_s: float) -> Report:
    """Play the script once; `each` 0 disturbs nobody."""
    broker = EmbeddedBroker() if kind == "embedded" else ApacheKafka(os.environ["KAFKA_HOME"])
    with tempfile.TemporaryDirectory(prefix="monitor-chaos-") as folder, broker:
        stage = await Stage.build(Path(folder) / "run", broker, script, stub=stub)
        try:
            faults = plan(seed, each=each, broker=broker.keeps_data, away_s=away_s) if each else ()
            return await run(stage, script, faults)
        finally:
            await stage.close()


def main() -> int:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="20,000 mentions, ten of each fault, the real model")
    parser.add_argument("--mentions", type=int, default=4000)
    parser.add_argument("--each", type=int, default=2, help="faults of each kind for each worker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--away", type=float, default=60.0, help="seconds that a killed Apache Kafka stays away")
    parser.add_argument("--stub", action="store_true", help="the stub scorer, also with --all")
    parser.add_argument("--broker", choices=("embedded", "kafka", "both"), default="both")
    options = parser.parse_args()
    mentions, each = (20_000, 10) if options.all else (options.mentions, options.each)
    stub = options.stub or not options.all
    if not stub and not (PACKAGED / "model.json").exists():
        print(f"no packaged model at {PACKAGED}: `monitor model train` makes one, --stub does without", file=sys.stderr)
        return 2
    brokers = ["embedded", "kafka"] if options.broker == "both" else [options.broker]
    if "kafka" in brokers and not os.environ.get("KAFKA_HOME"):
        print("Apache Kafka is left out: set KAFKA_HOME to a Kafka distribution", file=sys.stderr)
        brokers.remove("kafka")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker is killed: the client's cries are no news
    script = write(mentions, options.seed)
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    broken: list[str] = []
    calm: Report | None = None
    for kind, faults in [(brokers[0], 0), *((kind, each) for kind in brokers)]:
        report = asyncio.run(one(kind, script, stub=stub, each=faults, seed=options.seed, away_s=options.away))
        problems = list(report.problems)
        if calm is None:
            calm = report
        else:
            other = len(report.incidents ^ calm.incidents), len(report.openings ^ calm.openings)
            if any(other):
                problems.append(f"unlike the undisturbed run: {other[0]} incidents, {other[1]} pages that open one")
        broken += problems
        _print(kind, report, stub=stub, kept=not problems)
    print("\n".join(broken))
    return 1 if broken else 0


def _print(kind: str, report: Report, *, stub: bool, kept: bool) -> None:
    cells = (
        kind,
        "stub" if stub else "packaged",
        report.mentions,
        report.faults,
        " ".join(f"{name} {n}" for name, n in sorted(report.wanted.items())),
        "the same" if report.account == report.wanted else str(report.account),
        report.pages,
        report.arrived,
        report.raw_repeats,
        f"{report.seconds:.0f}",
        "yes" if kept else "NO",
    )
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
