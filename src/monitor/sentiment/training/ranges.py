"""How far the inputs of the encoder's products go, seen on held-out texts: what the eight-bit form is made with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import numpy as np
from safetensors.numpy import save_file

from monitor.sentiment.eight import find_ranges
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.weights import RANGES, read_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.sentiment.weights import Card

TEXTS: Final = 2000
"""How many texts are looked at."""


def write_ranges(folder: Path, card: Card, texts: Sequence[str], seed: int = 7) -> None:
    """Write `ranges.safetensors` into a folder of weights; the card has to be signed anew after it.

    Args:
        folder: the weights.
        card: their card.
        texts: held-out texts; of many a sample is taken.
        seed: of the sample.
    """
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    picked = dice.sample(list(texts), min(TEXTS, len(texts)))
    ids = Tokens(folder / "tokenizer.json").encode(picked, card.longest)
    found = find_ranges(read_tensors(folder, card), card.shape, ids)
    save_file({name: np.ascontiguousarray(both.astype(np.float32)) for name, both in found.items()}, folder / RANGES)
    (folder / RANGES).chmod(0o644)
