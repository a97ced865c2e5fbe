"""`make bench-spread`: the forecast and the tide on public series beside their peers, and what both cost.

    python bench/spread.py [--shared ../shared] [--out DIR] [--held-out DIR] [--cost-only] [--quick]

Runs `monitor bench spread nab|cascades` (the code that runs in production), scores the output with the benchmark's own
scripts and prints the tables, with each NAB series left out in turn. `--held-out DIR` adds what `monitor spread train
--check DIR` wrote: cascades judged by what was fitted to the other four fifths, with the spread over the fifths.
`--cost-only` needs no data: it measures updates a second, bytes a story, and the curve
of cost over the number of live stories and over one story's age. `--quick` stops that curve at 100,000 stories.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from monitor.spread import BrandTide, StorySpread, ViralLine
from monitor.spread.cli import DEFAULT_LINES
from monitor.spread.train import BUDGETS, FOLDS

PEERS = """peers on the public half (published thresholds; the benchmark's README):
  NAB: ARTime 80.6, contextOSE 78.6, knncad 72.0, earthgecko 67.9, numenta 64.5, twitterADVec 63.3
  Twitter: Hawkes useful .68 at 1 %, .87 at 5 %; ridge prototype .70 and .89, 3.19 h to the line at 1 %
  size: SEISMIC refitted .45 / .26 / .18 / .07; quantile trees .30 / .19 / .14 / .07; Weibo: velocity .43 at 5 %"""


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--cost-only", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if not args.cost_only:
        if not (args.shared / "bench" / "spread").is_dir():
            sys.exit(f"no benchmark below {args.shared}; say where with --shared, or use --cost-only")
        with tempfile.TemporaryDirectory() as temporary:
            quality(args.shared / "bench" / "spread", args.out or Path(temporary))
        if args.held_out is not None:
            held_out(args.shared / "bench" / "spread", args.held_out)
        print(PEERS)
    cost(100_000 if args.quick else 1_000_000)


def run(*command: str | Path) -> None:
    """Run a command of ours to its end."""
    subprocess.run([sys.executable, *map(str, command)], check=True)  # noqa: S603 -- our own commands only


def quality(bench: Path, out: Path) -> None:
    """Run and score the public part."""
    monitor = ("-c", "from monitor.spread.cli import bench; bench()")
    run(*monitor, "nab", "--data", bench / "public/nab", "--out", out / "nab")
    run(bench / "score_nab.py", out / "nab")
    left_out(bench, out / "nab")
    for platform, usual in DEFAULT_LINES.items():
        data = bench / "public/cascades" / f"{platform}.jsonl.gz"
        for line in [usual, usual // 2, usual * 2]:
            for budget in ("0.01", "0.05"):
                to = out / f"{platform}-{line:.0f}-{budget}.jsonl"
                options = ("--platform", platform, "--budget", budget, "--line", f"{line:.0f}")
                run(*monitor, "cascades", "--data", data, "--out", to, *options)
                run(bench / "score_cascades.py", to, "--data", data, "--line", f"{line:.0f}")


def scorer(path: Path) -> Any:
    """Return one of the benchmark's scripts as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"no scorer {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def left_out(bench: Path, out: Path) -> None:
    """Print the NAB table with each series left out in turn: how much one of them makes of it."""
    judge = scorer(bench / "score_nab.py")
    truth = judge.load_truth(str(bench / "public/nab"), str(bench / "public/nab/windows.json"))
    found = {}
    for name, series in truth.items():
        alerts = judge.read_alerts(str(out / f"Twitter_volume_{name}.csv"), series, None)
        found[name] = judge.score_series(series, alerts)
    for name in found:
        rest = [one for other, one in found.items() if other != name]
        print(judge.line(f"without {name}", judge.show(judge.combine(rest))))


def held_out(bench: Path, folder: Path) -> None:
    """Print what forecasts are worth on cascades that they saw nothing of, with each fifth's figure behind."""
    judge = scorer(bench / "score_cascades.py")
    for platform, usual in DEFAULT_LINES.items():
        data = judge.load(str(bench / "public/cascades" / f"{platform}.jsonl.gz"))
        for budget in BUDGETS:
            rows = [json.loads(line) for line in (folder / f"{platform}-{budget}.jsonl").open()]
            parts = [rows, *([row for row in rows if row["fold"] == fold] for fold in range(FOLDS))]
            found = []
            for part in parts:
                alerts = {row["cascade_id"]: row for row in part}
                score = judge.score({name: data[name] for name in alerts}, alerts, int(usual))
                found.append(alarms(score) if budget != BUDGETS[0] else alarms(score) | sizes(score))
            print(f"{platform} at {budget:.0%}, out of fold (of each fifth)")
            for name, whole in found[0].items():
                print(f"  {name:32} {whole:7.3f}  ({' '.join(f'{one[name]:.3f}' for one in found[1:])})")


def alarms(score: dict[str, Any]) -> dict[str, float]:
    """Return what alarms are worth."""
    return {
        "false alarms of 100": score["FA"],
        "found before half the size": score["useful"],
        "hours before the line": score["leadV"],
    }


def sizes(score: dict[str, Any]) -> dict[str, float]:
    """Return what forecast sizes and their intervals are worth."""
    out = {}
    for age, at in score["ape"].items():
        out[f"error of the size at {age} s"] = at["median"]
    for age, at in score["ape"].items():
        out[f"interval covers at {age} s"] = at["cover"]
        out["  of the smallest third".ljust(24) + str(age)] = at["cover_small"]
        out["  of the largest third".ljust(24) + str(age)] = at["cover_large"]
    return out


def cost(most: int) -> None:
    """Measure what a mention and a story cost."""
    rng = random.Random(1)
    names = [rng.getrandbits(64) for _ in range(200_000)]
    story = StorySpread()
    print("one story: mentions per core-second by its age in mentions")
    done = 0
    for upto in (1_000, 10_000, 100_000, 1_000_000):
        began = time.process_time()
        for i in range(done, upto):
            story.observe(1.7e9 + i * 0.05, names[i % len(names)], 300, "repost", 0.5)
        print(f"  {upto:>9,}: {(upto - done) / (time.process_time() - began):>9,.0f}  dump {len(story.dump())} bytes")
        done = upto
    began = time.process_time()
    for i in range(1_000):
        story.assess(1.7e9 + done * 0.05 + i, ViralLine(1e6), 0.0)
    print(f"  assess: {(time.process_time() - began) * 1e3:.0f} microseconds")
    tide = BrandTide()
    began = time.process_time()
    for i in range(100_000):
        tide.observe(1.7e9 + i * 1.0, 0.9, names[i], "cause")
    rate = 100_000 / (time.process_time() - began)
    print(f"one brand: {rate:,.0f} mentions per core-second, dump {len(tide.dump()) // 1024} KB")
    print(
        "many stories: mentions per core-second, resident memory (sizes heavy-tailed, median 2, mean about 10 voices)"
    )
    stories: list[StorySpread] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 1_000
    while size <= most:
        while len(stories) < size:
            fresh = StorySpread()
            start = 1.7e9 + len(stories)
            for i in range(min(int(rng.paretovariate(1.1)) + 1, 2_000)):
                fresh.observe(start + 20.0 * i, rng.getrandbits(64), 300, "repost", 0.5)
            stories.append(fresh)
        drawn = [stories[rng.randrange(size)] for _ in range(50_000)]
        rates = []
        for later in (2e6, 2.001e6):
            began = time.process_time()
            for i, one in enumerate(drawn):
                one.observe(1.7e9 + later + i * 0.01, names[i] + int(later), 300, "repost", 0.5)
            rates.append(50_000 / (time.process_time() - began))
            rng.shuffle(drawn)
        held = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"  {size:>9,} stories: {rates[1]:>9,.0f}  (asleep for weeks: {rates[0]:,.0f})"
            f"  {held:>7,.0f} MB  ({held * 1024 / size:.1f} KB a story)"
        )
        size *= 10


if __name__ == "__main__":
    main()
