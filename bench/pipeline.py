"""What the pipeline costs beside the model: throughput, core-microseconds by stage, seconds to a page, memory.

All in one run on the machine's cores, broker included. `make bench` calls it. Prints tables; nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from ruamel.yaml import YAML

from monitor.config import load
from monitor.demo.receiver import PATH, Received, Receiver
from monitor.mention import Author, Mention, encode
from monitor.sentiment import load_scorer
from monitor.simulate import Settings, Simulation, brands_file
from monitor.store import Store, read_account
from monitor.stream.embedded import EmbeddedBroker
from monitor.stream.process import GuardedProcess
from monitor.stream.score import ScoreSettings
from monitor.stream.topics import client_options, ensure_topics, topic_plans

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from kafka import ApacheKafka

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

TICKS = os.sysconf("SC_CLK_TCK")
THREADS = 2
ROUND = ScoreSettings(client={}).round_size
DENSE_S = 0.002
"""Seconds of event time between two mentions, where they come as fast as the cores can read them. In a replay that is
faster than life more time passes for each, and more is judged."""
WORKERS = ("score", "watch", "dispatch")
PROCESSES = ("score", "watch", "broker")
WARM = 3000
BRAND = """
  - {{id: bench{n}, name: Benchline {n}, handles: [benchline{n}], viral_line: 10}}"""
"""A brand for each story: a second matter of one brand is taken for a part of the first."""


def texts(n: int, reposts: float, seed: int = 7) -> list[str]:
    """Return `n` texts of the simulated stream; a share of them repeats earlier ones word for word."""
    rng = random.Random(seed)
    fresh = iter(
        dict.fromkeys(
            m.text
            for m in Simulation(
                Settings(rate=200_000.0, days=1.0, stories=(), reposts=0.0, repeats=0.0), seed=seed
            ).mentions()
            if m.text
        )
    )
    out: list[str] = []
    for _ in range(n):
        out.append(rng.choice(out[-400:]) if out and rng.random() < reposts else next(fresh))
    return out


def processes(root: int) -> list[int]:
    """Return a process and all below it."""
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            queue += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(root: int) -> float:
    """Return the processor seconds that a process and all below it have used."""
    total = 0
    for pid in processes(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def peak_mib(root: int) -> float:
    """Return the peak resident memory of the largest process below `root`, in MiB."""
    best = 0
    for pid in processes(root):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                best = max(best, int(line.split()[1]))
    return best / 1024


class Bed:
    """A broker, a store and workers in a folder of their own."""

    def __init__(
        self, broker: str, *, brands: Path, stub: bool, url: str = "http://127.0.0.1:9/", live: bool = False
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.broker: AbstractContextManager[Any] = (
            ApacheKafka(os.environ["KAFKA_HOME"], self.folder / "kafka") if broker == "kafka" else EmbeddedBroker()
        )
        self.started = self.broker.__enter__()
        file = self.folder / "monitor.yaml"
        with file.open("w") as out:
            YAML().dump(
                {
                    "kafka": {
                        "bootstrap": self.started.bootstrap,
                        "mentions_partitions": 4,
                        "readings_partitions": 4,
                        "session_timeout_ms": 6000,
                    },
                    "store": {"url": f"sqlite:///{self.folder}/bench.sqlite"},
                    "model": {"stub": stub, "threads": THREADS},
                    "brands": str(brands),
                    "time": {"mode": "live" if live else "replay"},
                    "watch": {"first_start": "beginning"},
                    "recipients": [
                        {
                            "name": "on-call",
                            "channels": [{"name": "hook", "type": "webhook", "url": url, "secret_env": "BENCH_SECRET"}],
                        }
                    ],
                    "routes": [{"to": ["on-call"], "severity": "page"}],
                    "http": {"score_port": 0, "watch_port": 0, "dispatch_port": 0},
                    "log": {"level": "warning", "format": "json"},
                },
                out,
            )
        self.environ = {**os.environ, "BENCH_SECRET": "bench"}
        self.settings = load(file, self.environ)
        self.file = file
        self.workers: dict[str, GuardedProcess] = {}
        self.store = Store(self.settings.store.url)
        self.store.migrate()

    def start(self, *names: str) -> None:
        """Start these workers."""
        for name in names:
            argv = [sys.executable, "-m", "monitor", name, "--config", str(self.file)]
            self.workers[name] = GuardedProcess(argv, env=self.environ, keep_lines=100).start()

    def total(self) -> int:
        """Return how many mentions are accounted for."""
        with self.store.engine.connect().execution_options(read_only=True) as connection:
            return read_account(connection).total

    def pid(self, name: str) -> int:
        """Return the process of a worker, or of the broker."""
        pid = self.workers.get(name, self.started).pid
        assert pid is not None, name
        return int(pid)

    def close(self) -> None:
        """Stop everything and remove the folder."""
        for process in reversed(self.workers.values()):
            process.stop(grace_s=10)
        self.store.close()
        self.broker.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)


def as_mentions(lines: list[str], apart: float) -> list[bytes]:
    """Return mentions of different authors with these texts, so many seconds of event time apart."""
    start = time.time() - len(lines) * apart - 10
    return [
        encode(
            Mention(
                id=f"n-{number:07d}",
                source="twitter",
                text=text,
                author=Author(handle=f"user{number % 9973}", followers=number % 997),
                published_at=datetime.fromtimestamp(start + number * apart, tz=UTC),
                observed_at=datetime.fromtimestamp(start + number * apart, tz=UTC),
            )
        )
        for number, text in enumerate(lines)
    ]


async def publish(bed: Bed, values: list[bytes], rate: float | None = None) -> None:
    """Publish all, evenly at `rate` a second if one is given."""
    kafka = bed.settings.kafka
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", linger_ms=5)
    await producer.start()
    began = time.monotonic()
    for number, value in enumerate(values):
        if rate is not None and (ahead := began + number / rate - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        await producer.send(kafka.topics.mentions, value, partition=number % kafka.mentions_partitions)
    await producer.stop()


async def through_kafka(broker: str, lines: list[str], *, stub: bool, apart: float) -> dict[str, Any]:
    """Publish all, and take the rate in the middle: from a tenth in the store to nine tenths.

    At both moments the same is under way, so neither what had been read before nor what is still to be written counts.
    Core-microseconds and memory are those of the whole run. Both begin after `WARM` mentions of other texts, when the
    broker's just-in-time compiler is through with most.
    """
    bed = Bed(broker, brands=brands_file(), stub=stub)
    names = ("score", "watch")
    try:
        await ensure_topics(client_options(bed.settings.kafka), topic_plans(bed.settings.kafka))
        values = as_mentions(texts(WARM, 0.0, seed=11) + lines, apart)
        bed.start(*names)
        await publish(bed, values[:WARM])
        while bed.total() < WARM:  # noqa: ASYNC110 -- another process's progress
            await asyncio.sleep(0.05)
        pids = {name: bed.pid(name) for name in (*names, "broker")}
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        await publish(bed, values[WARM:])
        looks: list[tuple[float, int]] = []
        while not looks or looks[-1][1] < len(lines):
            looks.append((time.monotonic(), bed.total() - WARM))
            await asyncio.sleep(0.25)  # looking costs time of the cores that are measured
        first = next(look for look in looks if look[1] >= len(lines) // 10)
        last = next(look for look in looks if look[1] >= len(lines) * 9 // 10)
        used = {name: cpu_seconds(pid) - cpu[name] for name, pid in pids.items()}
        return {
            "rate": (last[1] - first[1]) / (last[0] - first[0]),
            "micros": {name: 1e6 * value / len(lines) for name, value in used.items()},
            "memory": {name: peak_mib(bed.pid(name)) for name in names},
        }
    finally:
        bed.close()


def bare(lines: list[str]) -> float:
    """Return the mentions per second of the model alone: the same rounds, cache and threads as the worker's."""
    scorer = load_scorer(None, threads=THREADS)
    load_scorer(None, threads=THREADS, cache_bytes=0).read(lines[:64])
    began = time.monotonic()
    for at in range(0, len(lines), ROUND):
        scorer.read(lines[at : at + ROUND])
    return len(lines) / (time.monotonic() - began)


async def latency(broker: str, rate: float, stories: int) -> dict[str, Any]:
    """Page about `stories` stories at `rate` mentions a second: seconds from the decision's event time to the receiver.

    Live mode: event time is the append. A decision is made on a mention's arrival or, after the hold-down, on a tick;
    the time between the two is the hold-down and left out.
    """
    listen = socket.create_server(("127.0.0.1", 0))
    receiver = Receiver(listen, "bench", lambda _: None)
    await receiver.start()
    folder = Path(tempfile.mkdtemp(prefix="bench-brands-"))
    (folder / "brands.yaml").write_text("brands:" + "".join(BRAND.format(n=n) for n in range(stories)))
    bed = Bed(
        broker,
        brands=folder / "brands.yaml",
        stub=True,
        url=f"http://127.0.0.1:{listen.getsockname()[1]}{PATH}",
        live=True,
    )
    try:
        await ensure_topics(client_options(bed.settings.kafka), topic_plans(bed.settings.kafka))
        bed.start(*WORKERS)
        await asyncio.sleep(8)
        rng = random.Random(3)
        vocabulary = [
            f"{a}{b}{c}"
            for a in ("bra", "kel", "mon", "tis", "vor", "zun")
            for b in ("da", "li", "mo", "ne", "ru")
            for c in ("k", "n", "s", "t")
        ]
        values: list[tuple[float, bytes]] = []
        each = 12
        for number in range(stories):
            words = " ".join(rng.sample(vocabulary, 9))
            for voice in range(each):
                text = f"@benchline{number} broken refund nobody answers {words}"
                values.append(
                    (number * each + voice * 3.0 + rng.random(), text.encode() + f"|{number}-{voice}".encode())
                )
        values.sort()
        producer = AIOKafkaProducer(**client_options(bed.settings.kafka), acks="all", linger_ms=1)
        await producer.start()
        began = time.monotonic()
        for number, (_, packed) in enumerate(values):
            if (ahead := began + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            text, _, name = packed.decode().rpartition("|")
            mention = Mention(
                id=name,
                source="twitter",
                text=text,
                author=Author(handle=f"u{name}", followers=300),
                published_at=datetime.now(UTC),
            )
            await producer.send("mentions", encode(mention), partition=number % 4)
        await producer.stop()
        deadline = time.monotonic() + 150
        while len(receiver.pages) < stories and time.monotonic() < deadline:  # noqa: ASYNC110 -- the same
            await asyncio.sleep(0.5)
        pages: list[Received] = list(receiver.pages.values())
        waits = sorted(page.at - page.body["data"]["decided_at"] for page in pages)
        return {
            "pages": len(waits),
            "repeats": receiver.repeats,
            "waits": waits,
            "memory": {name: peak_mib(bed.pid(name)) for name in WORKERS},
        }
    finally:
        bed.close()
        await receiver.stop()
        shutil.rmtree(folder, ignore_errors=True)


def quantile(values: list[float], q: float) -> float:
    """Return a quantile by nearest rank."""
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--broker", choices=("embedded", "kafka"), default="kafka" if os.environ.get("KAFKA_HOME") else "embedded"
    )
    parser.add_argument("--mentions", type=int, default=12_000)
    parser.add_argument("--stories", type=int, default=1100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("ratio", "cost", "latency"), default=None)
    a = parser.parse_args()
    half: float | None = None
    if a.only in (None, "ratio"):
        for name, reposts in (("unique texts", 0.0), ("60 % reposts", 0.6)):
            lines = texts(a.mentions, reposts)
            alone = [bare(lines)]
            runs, ratios = [], []
            for _ in range(a.rounds):
                runs.append(asyncio.run(through_kafka(a.broker, lines, stub=False, apart=DENSE_S)))
                alone.append(bare(lines))
                ratios.append(runs[-1]["rate"] / statistics.mean(alone[-2:]))  # the machine's pace drifts
            print(
                f"{name}: the bare model {statistics.median(alone):,.0f}/s; "
                f"through {a.broker} to the store "
                f"{statistics.median(run['rate'] for run in runs):,.0f}/s; ratio {statistics.median(ratios):.2f} "
                f"({', '.join(f'{ratio:.2f}' for ratio in sorted(ratios))})",
                flush=True,
            )
            print(
                "  core-microseconds a mention: "
                + ", ".join(f"{k} {statistics.median(run['micros'][k] for run in runs):.0f}" for k in PROCESSES)
                + ", the model in score included; memory, MiB: "
                + ", ".join(f"{k} {v:.0f}" for k, v in runs[-1]["memory"].items()),
                flush=True,
            )
            if reposts == 0.0:
                half = statistics.median(run["rate"] for run in runs) / 2
    if a.only in (None, "cost"):
        for what, apart in (("500 mentions in a second", DENSE_S), ("one mention in a second", 1.0)):
            run = asyncio.run(through_kafka(a.broker, texts(20_000, 0.0), stub=True, apart=apart))
            print(
                f"stub scorer, {what} of event time: {run['rate']:,.0f}/s; core-microseconds a mention: "
                + ", ".join(f"{k} {v:.0f}" for k, v in run["micros"].items())
                + f"; together {sum(run['micros'].values()):.0f}",
                flush=True,
            )
    if a.only in (None, "latency"):
        run = asyncio.run(latency(a.broker, half or 250.0, a.stories))
        waits = run["waits"]
        print(
            f"pages: {run['pages']} of {a.stories} at {half or 250.0:.0f} mentions/s, repeats {run['repeats']}; "
            f"seconds from the deciding append to the receiver: median {quantile(waits, 0.5):.2f}, "
            f"p90 {quantile(waits, 0.9):.2f}, p99 {quantile(waits, 0.99):.2f}, "
            f"most {waits[-1] if waits else float('nan'):.2f}"
        )
        print("  memory, MiB: " + ", ".join(f"{k} {v:.0f}" for k, v in run["memory"].items()))


if __name__ == "__main__":
    main()
