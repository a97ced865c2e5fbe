"""Stories: how well they are grouped, and what a mention costs.

    python bench/stories.py quality [--shared ../shared] [--vectors FOLDER]
    python bench/stories.py cost [--live 500,1690,8000,20000]

`quality` runs the six labelled streams of the shared folder through the production grouping and its scorer, as of the
time. Vectors come from the packaged model, or from FOLDER/SET.npy (one row per line of the stream, any float type).
`cost` prints readings a second on one core against the number of live stories, without the model, and memory; mentions
come in micro-batches, as from the topic. Some of the stories asked for are split: 1,690 are about 2,000.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core is what is measured

import argparse
import gc
import importlib.util
import json
import random
import statistics
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.cli import GC_OBJECTS
from monitor.mention.decode import decode
from monitor.mention.model import Author
from monitor.sentiment.reading import Origin, Reading, ReadMention
from monitor.story import AHEAD, Grouper, read_ahead
from monitor.story.replay import Placed, Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

SETS = ("tweets", "news", "banking", "clinc", "headlines", "crisis")
FIGURES = ("b3_f1_asof", "b3_f1", "v_measure", "detected_share", "page_precision", "delay_items_median")
WIDTH = 384


def quality(shared: Path, vectors: Path | None) -> None:
    """Print the table of the six streams."""
    folder = shared / "bench" / "stories"
    spec = importlib.util.spec_from_file_location("score_stories", folder / "score_stories.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no scorer in {folder}: give --shared")
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    print(f"{'':10}" + "".join(f"{name:>20}" for name in FIGURES) + f"{'good/repeat/mixed':>20}")
    found = []
    for name in SETS:
        rows = judge.rd(str(folder / "public" / f"{name}.jsonl"))
        truth = judge.rd(str(folder / "public" / f"{name}.truth.jsonl"))
        stories, log = group(rows, embed(rows, name, vectors))
        out = judge.score(rows, truth, stories, log)
        found.append(out)
        pages = f"{out['pages_good']}/{out['pages_repeat']}/{out['pages_mixed']}"
        print(f"{name:10}" + "".join(f"{out[each]:20.3f}" for each in FIGURES) + f"{pages:>20}", flush=True)
    print(f"{'mean':10}" + "".join(f"{statistics.mean(o[each] for o in found):20.4f}" for each in FIGURES))


def embed(rows: list[dict[str, Any]], name: str, vectors: Path | None) -> list[bytes | None]:
    """Return each text's embedding as a reading carries it."""
    if vectors is not None:
        return [row.astype("<f2").tobytes() for row in np.load(vectors / f"{name}.npy")]
    from monitor.sentiment import load_scorer  # noqa: PLC0415 -- needs the weights

    return [reading.vector for reading in load_scorer(vectors=True).read([row["text"] for row in rows])]


def group(rows: list[dict[str, Any]], vectors: list[bytes | None]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return each row's story at the end, and the log."""
    replay = Replay()
    log: list[dict[str, str]] = []
    for row, vector in zip(rows, vectors, strict=True):
        at = np.datetime_as_string(np.datetime64(round(row["t"] * 1000), "ms"), timezone="UTC")
        plain = {
            "id": row["id"],
            "source": "twitter",
            "text": row["text"],
            "published_at": at,
            "author": {"id": row["author"]},
        }
        mention = decode(json.dumps(plain).encode(), record_time=4e9)
        events = replay.take(mention, Reading("bench", None, None, vector=vector))
        log += [
            {"id": e.id, "story": e.story} if isinstance(e, Placed) else {"merge": e.src, "into": e.into}
            for e in events
        ]
    stories = [{"id": e["id"], "story": replay.resolve(e["story"])} for e in log if "id" in e]
    return stories, log


def stream(live: int, dice: random.Random, noise: np.random.Generator) -> Any:
    """Yield mentions without end, each of one of `live` stories with an embedding and words of its own."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(dice.choices(letters, k=dice.randrange(3, 9))) for _ in range(20_000)]
    centres = noise.standard_normal((live, WIDTH)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    topics = [dice.sample(words, 12) for _ in range(live)]
    number = 0
    while True:
        story = number if number < live else dice.randrange(live)
        vector = centres[story] + 0.05 * noise.standard_normal(WIDTH).astype(np.float32)
        said = [word for word in topics[story] if dice.random() < 0.6] + dice.sample(words, 3)
        reading = Reading("bench", None, 0.5, vector=(vector / np.linalg.norm(vector)).astype("<f2").tobytes())
        at = float(number)
        yield ReadMention(
            "bench", ("bench",), f"m{number}", "bench", "post", at, at, " ".join(said), Origin(0, 0, at), reading,
            Author(handle=f"h{number}", followers=50),
        )  # fmt: skip
        number += 1


def cost(sizes: list[int], timed: int = 5_000) -> None:
    """Print the curve, with the garbage collector set as every command of `monitor` and its workers set it."""
    gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
    gc.freeze()
    print(f"{'live stories':>14}{'readings/s':>14}{'us a reading':>14}{'MB':>8}")
    for live in sizes:
        grouper = Grouper("bench")
        source = stream(live, random.Random(1), np.random.default_rng(1))
        grouper.place(next(source))  # from here on the stream itself takes no more memory
        before = resident()
        place(grouper, islice(source, 2 * live - 1))
        after = resident()
        each = place(grouper, islice(source, timed)) / timed / 1e3
        print(f"{len(grouper):14,}{1e6 / each:14,.0f}{each:14.0f}{(after - before) / 1e6:8.0f}", flush=True)


def place(grouper: Grouper, source: Iterator[ReadMention]) -> float:
    """Place mentions in micro-batches, as they come from the topic; return the CPU time in nanoseconds."""
    taken = 0
    while batch := list(islice(source, AHEAD)):
        start = time.process_time_ns()
        read_ahead((mention.text, mention.reading.vector if mention.reading else None) for mention in batch)
        for mention in batch:
            grouper.place(mention)
        taken += time.process_time_ns() - start
    return taken


def resident() -> int:
    """Return this process's resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("quality")
    one.add_argument("--shared", type=Path, default=Path(os.environ.get("MONITOR_SHARED", "../shared")))
    one.add_argument("--vectors", type=Path)
    two = commands.add_parser("cost")
    two.add_argument("--live", default="500,1690,8000,20000")
    given = parser.parse_args()
    if given.what == "quality":
        quality(given.shared, given.vectors)
    else:
        cost([int(size) for size in given.live.split(",")])


if __name__ == "__main__":
    main()
