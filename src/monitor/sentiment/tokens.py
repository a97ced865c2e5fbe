"""Texts to token ids, as training and reading both do it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokenizers import Tokenizer

from monitor.sentiment.clean import Cleaner
from monitor.sentiment.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MARKS: Final = ("@user", "http")
"""What stands for handles and links."""


class Tokens:
    """Cleaning and tokenising for one tokenizer file. Padding and cutting are set here, not by the file.

    Args:
        path: a `tokenizer.json`.

    Raises:
        ModelError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            raw = path.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(raw)
            vocabulary = json.loads(raw)["model"]["vocab"]
        except FileNotFoundError as gone:
            raise ModelError(f"{path} is missing; install the package again, or name a folder of weights.") from gone
        except Exception as broken:  # tokenizers raises bare Exception for a damaged file
            raise ModelError(f"{path} is damaged ({broken}); install the package again.") from broken
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.ranks: dict[str, int] = vocabulary
        self.clean = Cleaner(vocabulary)

    def encode(self, texts: Sequence[str], longest: int, *, bare: bool = False) -> list[list[int]]:
        """Return the token ids of texts as they came: `clean`, then `ids`.

        Args:
            texts: as they came.
            longest: the most tokens of one text.
            bare: leave out what stands for handles and links.
        """
        cleaned = [self.clean(text) for text in texts]
        if bare:
            cleaned = [" ".join(word for word in text.split() if word not in MARKS) or text for text in cleaned]
        return self.ids(cleaned, longest)

    def ids(self, cleaned: Sequence[str], longest: int) -> list[list[int]]:
        """Return the token ids of cleaned texts, at most `longest` each with [CLS] and [SEP]; see `cut`."""
        return [cut(found.ids, longest) for found in self._tokenizer.encode_batch_fast(list(cleaned))]


def cut(ids: list[int], longest: int) -> list[int]:
    """Return `ids` with the middle left out where they are more than `longest`: a complaint's point is often last.

    >>> cut([101, 1, 2, 3, 4, 5, 6, 102], 6)
    [101, 1, 2, 5, 6, 102]
    """
    if len(ids) <= longest:
        return ids
    head = longest // 2
    return ids[:head] + ids[head - longest :]
