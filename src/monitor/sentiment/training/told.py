"""What the third training is told: the mean of what the larger teacher and the first training's encoder say.

They err on different texts: on the held-out rows the mean is far likelier than either. Both are calibrated first, so
that their logits mean the same. Of written posts, which the encoder never met by then, the teacher alone speaks. What
the teacher saw of a text is learnt beside what it says (a hint: Romero et al. 2015), in its principal components.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom

from monitor.sentiment.training.calibrate import SETS, even_fit, half_even_fit, minimise, seen_by
from monitor.sentiment.training.rows import Row, Soft
from monitor.sentiment.training.vary import VARIED_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from monitor.sentiment.tokens import Tokens
    from monitor.sentiment.training.net import Net
    from monitor.sentiment.training.teacher import Answers

TOLD: Final = {
    "tweeteval": 0.22,
    "xlmt": 1.0,
    "apple": 1.0,
    "sanders": 1.0,
    "sxsw": 0.5,
    "reviews": 0.3,
    "emotion": 0.4,
    "irony": 0.4,
    "offensive": 0.2,
    "hate": 0.05,
    "complaints": 1.0,
    "written": 0.45,
}
"""What share of each set's rows the teacher is asked about, when it has learnt all that it does."""
FIRST_SHARE: Final = 0.5
"""How much of the mean is the first training's."""
HINTS: Final = 256
"""In how many directions what the teacher saw is learnt."""
SAMPLE: Final = 15_000
"""Rows from which they are reckoned."""


class Told(NamedTuple):
    """Rows with what is said of them; `hints` (rows, HINTS) is what the teacher saw of some, by their `soft.place`."""

    rows: list[Row]
    hints: Tensor


def drawn(pool: Sequence[Row], seed: int) -> list[int]:
    """Return the places in `pool` of the rows that the teacher is asked about; see `TOLD`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    out: list[int] = []
    for source, share in TOLD.items():
        mine = [place for place, row in enumerate(pool) if row.source == source]
        out += sorted(dice.sample(mine, round(share * len(mine))))
    return out


def calibrated(logits: Tensor, held_out: Sequence[Row], held_logits: Tensor) -> Tensor:
    """Return (rows, 4) logits that mean the same, whoever said them: ln p of the sentiments, log-odds of a complaint.

    Args:
        logits: (rows, 4), of sentiment and complaint.
        held_out: rows that nobody trained on.
        held_logits: (held-out rows, 4), by the same.
    """
    felt = [place for place, row in enumerate(held_out) if row.source in SETS]
    rows = [held_out[place] for place in felt]
    factor, bias = even_fit(held_logits[felt, :3], rows)
    factor, bias = (one * half_even_fit(held_logits[felt, :3] * factor + bias, rows) for one in (factor, bias))
    asked = [place for place, row in enumerate(held_out) if row.source == "complaints"]
    marks = torch.tensor([float(bool(held_out[place].labels["complaint"])) for place in asked])
    lift, shift = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    minimise(
        [lift, shift],
        lambda: F.binary_cross_entropy_with_logits(held_logits[asked, 3] * lift.exp() + shift, marks),
    )
    sides = (logits[:, :3] * factor + bias).log_softmax(1)
    return torch.cat([sides, logits[:, 3:] * lift.exp() + shift], 1).detach()


def directions(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (width,) of what was seen (rows, width), and its principal components (width, HINTS)."""
    some = torch.randperm(len(seen), generator=torch.Generator().manual_seed(3))[:SAMPLE]
    part = seen[some].float()
    mean = part.mean(0)
    torch.manual_seed(3)
    _, _, components = torch.pca_lowrank(part - mean, min(HINTS, *part.shape), niter=3)
    return mean, components


def tell_of(rows: Sequence[Row], held_out: Sequence[Row], teacher: Answers, first: Net, tokens: Tokens) -> Told:
    """Return `rows` with what is said of them.

    Args:
        rows: what shall be learnt.
        held_out: rows that nobody trained on.
        teacher: what the teacher says of `rows`, then of `held_out`, and what it saw of the first of them.
        first: the network of the first training.
        tokens: how texts become token ids for it.
    """
    count = len(rows)
    alone = torch.tensor([row.source in ("written", VARIED_WRITTEN) for row in rows] + [False] * len(held_out))
    asked = [row for row, skip in zip([*rows, *held_out], alone.tolist(), strict=True) if not skip]
    features = seen_by(first, tokens, asked)
    with torch.no_grad():
        theirs = torch.zeros_like(teacher.logits)
        theirs[~alone] = torch.cat([first.heads[name](features) for name in ("sentiment", "complaint")], 1)

    def settled(logits: Tensor) -> Tensor:
        return calibrated(logits, held_out, logits[count:])

    larger = settled(teacher.logits)
    both = settled(torch.lerp(larger, settled(theirs), FIRST_SHARE))
    said = torch.where(alone[:, None], larger, both)[:count]
    mean, components = directions(teacher.features)
    hints = (teacher.features.float() - mean) @ components
    hints = hints / hints.square().mean().sqrt()
    told = [
        row._replace(soft=Soft((one[0], one[1], one[2]), one[3], place if place < len(hints) else -1))
        for place, (row, one) in enumerate(zip(rows, said.tolist(), strict=True))
    ]
    return Told(told, hints)
