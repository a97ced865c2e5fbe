"""Which weights read best what nobody trained on: folders of weights on the held-out rows, to choose between them.

The public parts, by which `monitor model evaluate` reports, are left alone, so that nothing is chosen by them.
Likelihoods are in nats a row; on the sets their mean, each set counting the same. The calibration was fitted on these
rows too, a few numbers only, so the likelihoods flatter all folders alike.

    python bench/heldout.py [FOLDER...]     # the packaged weights, and each folder
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `import monitor` does, if it comes before numpy

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.sentiment.evaluate import shares
from monitor.sentiment.metrics import auc, confusion, macro_f1
from monitor.sentiment.scorer import load_scorer
from monitor.sentiment.training.rows import rows, written
from monitor.sentiment.weights import PACKAGED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.sentiment.cpu import Wanted
    from monitor.sentiment.reading import Reading
    from monitor.sentiment.training.rows import Row

SHARED = Path(os.environ.get("MONITOR_SHARED", Path(__file__).parents[2] / "shared"))
SETS = ("tweeteval", "xlmt", "apple", "sanders", "sxsw")


def sentiment(readings: Sequence[Reading], part: Sequence[Row]) -> tuple[float, float]:
    """Return how unlikely the labels are, and macro-F1."""
    found, truth = shares(list(readings)), np.array([row.labels["sentiment"][0] for row in part])
    unlikely = -np.log(np.clip(found[np.arange(len(truth)), truth], 1e-6, 1)).mean()
    return float(unlikely), macro_f1(confusion(truth, found.argmax(1), 3))


def complaint(readings: Sequence[Reading], part: Sequence[Row]) -> tuple[float, float, float]:
    """Return how unlikely the labels are, macro-F1 at .5 and AUC."""
    risk = np.clip([one.complaint or 0.0 for one in readings], 1e-6, 1 - 1e-6)
    truth = np.array([int(bool(row.labels["complaint"])) for row in part])
    unlikely = -np.log(np.where(truth == 1, risk, 1 - risk)).mean()
    return float(unlikely), macro_f1(confusion(truth, (risk >= 0.5).astype(int), 2)), auc(truth, risk)


def lines(folder: Path, data: Path, runtime: Wanted) -> Iterator[str]:
    """Yield what stands under one folder."""
    scorer = load_scorer(folder, runtime=runtime, cache_bytes=0)

    def read(part: Sequence[Row]) -> list[Reading]:
        return list(scorer.read([row.text for row in part]))

    dev = rows(data, "dev")
    several = []
    for name in SETS:
        part = [row for row in dev if row.source == name]
        several.append(sentiment(read(part), part))
        yield f"  {name:<12} -ln p {several[-1][0]:.4f}  macro-F1 {several[-1][1]:.4f}  ({len(part)} rows)"
    means = np.array(several).mean(0)
    yield f"  {'their mean':<12} -ln p {means[0]:.4f}  macro-F1 {means[1]:.4f}"
    posts = written("dev")
    told = read(posts)
    sure = [(one, row) for one, row in zip(told, posts, strict=True) if row.weight]
    found = sentiment([one for one, _ in sure], [row for _, row in sure])
    yield f"  {'written':<12} -ln p {found[0]:.4f}  macro-F1 {found[1]:.4f}  ({len(sure)} rows)"
    asked = [row for row in dev if "complaint" in row.labels]
    for name, part, readings in (("complaints", asked, read(asked)), ("as written", posts, told)):
        unlikely, f1, area = complaint(readings, part)
        yield f"  {name:<12} -ln p {unlikely:.4f}  macro-F1 {f1:.4f}  AUC {area:.4f}  ({len(part)} rows)"


def main() -> None:
    """Print the figures of every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--runtime", choices=("auto", "int8", "float32"), default="float32")
    given = parser.parse_args()
    for folder in (PACKAGED, *given.folders):
        print(folder.name if folder != PACKAGED else "the packaged weights")
        for line in lines(folder, given.data, given.runtime):
            print(line, flush=True)


if __name__ == "__main__":
    main()
