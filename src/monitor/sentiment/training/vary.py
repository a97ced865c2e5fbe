"""Posts whose words are exchanged for near ones: more texts for a teacher to read, which nobody has labelled.

The data augmentation of TinyBERT (Jiao et al. 2020), by the base's own word embeddings alone. What comes of it is often
crooked and sometimes means something else; that does no harm, since the teacher says what the new text is.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Final

import torch.nn.functional as F  # noqa: N812 -- torch's own custom

from monitor.sentiment.training.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

VARIED: Final = {
    "written": 5500,
    "tweeteval": 1200,
    "sanders": 400,
    "sxsw": 400,
    "complaints": 1000,
    "offensive": 500,
}
"""How many rows of each set are varied."""
VARIED_WRITTEN: Final = "varied written"
VARIED_OTHER: Final = "varied"
SHARE: Final = 0.22
"""How likely a word is exchanged."""
LOSS: Final = 0.04
"""How likely a word is left out instead."""
NEAR: Final = 0.5
"""The cosine from which on a word is near another."""
NEIGHBOURS: Final = 6
COMMON: Final = 22_000
"""The place in the vocabulary up to which a word is common enough."""
SHORTEST: Final = 3
KEPT: Final = frozenset(
    {
        "not", "never", "without", "cannot", "none", "nothing", "nobody", "too", "very", "user", "http", "https",
    }
)  # fmt: skip
"""What turns a text round, and what stands for handles and links."""
_WORD: Final = re.compile(r"([^A-Za-z]*)([A-Za-z]+)([^A-Za-z]*)")


def near_words(embeddings: Tensor, ranks: Mapping[str, int]) -> dict[str, list[str]]:
    """Return for common words those nearest to them, the nearest first.

    Args:
        embeddings: (vocabulary, width), of the base.
        ranks: word to its place in the vocabulary.
    """
    words = [
        (word, place)
        for word, place in ranks.items()
        if word.isascii() and word.isalpha() and len(word) >= SHORTEST and place < COMMON
    ]
    names = [word for word, _ in words]
    table = F.normalize(embeddings[[place for _, place in words]] - embeddings.mean(0), dim=1)
    out: dict[str, list[str]] = {}
    for start in range(0, len(names), 2000):
        cosines, found = (table[start : start + 2000] @ table.T).topk(min(NEIGHBOURS + 1, len(names)))
        for line, (near, at) in enumerate(zip(cosines.tolist(), found.tolist(), strict=True), start):
            mine = [names[j] for cosine, j in zip(near, at, strict=True) if cosine >= NEAR and j != line]
            if mine:
                out[names[line]] = mine
    return out


def vary(text: str, near: Mapping[str, Sequence[str]], dice: random.Random) -> str:
    """Return `text` with some words exchanged for near ones and a few left out; handles, tags and links stay.

    >>> vary("@shop My PARCEL is not here, thanks", {"parcel": ["packet"], "here": ["there"]}, random.Random(4))
    '@shop My PACKET is not there, thanks'
    """
    out = []
    for word in text.split():
        parts = _WORD.fullmatch(word)
        if word[0] in "@#" or "http" in word or parts is None:
            out.append(word)
            continue
        before, core, after = parts.groups()
        low = core.lower()
        if low in near and low not in KEPT and dice.random() < SHARE:
            out.append(before + _as_written(dice.choice(near[low]), core) + after)
        elif low in KEPT or dice.random() >= LOSS:
            out.append(word)
    return " ".join(out)


def _as_written(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.title() if like[0].isupper() else word


def varied(pool: Sequence[Row], near: Mapping[str, Sequence[str]], seed: int) -> list[Row]:
    """Return varied rows without labels, of the sets in `VARIED`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    out = []
    for source, most in VARIED.items():
        mine = [row for row in pool if row.source == source]
        for row in dice.sample(mine, min(most, len(mine))):
            text = vary(row.text, near, dice)
            if text != row.text:
                out.append(Row(text, {}, VARIED_WRITTEN if source == "written" else VARIED_OTHER))
    return out
