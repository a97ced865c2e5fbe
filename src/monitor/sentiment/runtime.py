"""The packaged weights at work: ONNX Runtime on a CPU, no torch in the process.

Batches are made by tokens, not by texts, of texts of like length. Nothing in a batch depends on its neighbours: the
graph is plain float32 and masked, so a text reads the same alone and in any batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.sentiment.language import Language
from monitor.sentiment.reading import Reading, Sentiment
from monitor.sentiment.session import cores, open_session
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.weights import PACKAGED, read_card

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BUDGET: Final = 4096
"""Tokens of one batch, padding included."""


class OnnxScorer:
    """Reads with the packaged weights, or with any folder of weights that `monitor model train` made.

    Args:
        folder: the weights.
        threads: CPU threads; None: every core that this process may use.
        vectors: readings carry their story vector.
        budget: tokens of one batch, padding included.
        language: judges what can be read.

    Raises:
        ModelError: the weights are missing, damaged or cannot be run.
    """

    def __init__(
        self,
        folder: Path = PACKAGED,
        *,
        threads: int | None = None,
        vectors: bool = False,
        budget: int = BUDGET,
        language: Language | None = None,
    ) -> None:
        self.card = read_card(folder)
        self.vectors = vectors
        self.threads = threads or cores()
        self._budget = budget
        self._tokens = Tokens(folder / "tokenizer.json")
        self._language = language or Language()
        self._session = open_session(folder, self.card, self.threads)
        self._outputs = ["sentiment", "complaint", "story"] if vectors else ["sentiment", "complaint"]

    @property
    def name(self) -> str:
        """The model version."""
        return self.card.name

    def clean(self, text: str) -> str:
        """Return the text as the model sees it: texts that are equal here read equally."""
        return self._tokens.clean(text)

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order."""
        if not texts:
            return []
        cleaned = [self._tokens.clean(text) for text in texts]
        given = langs if langs is not None else [None] * len(texts)
        judged = [self._language.judge(*one) for one in zip(texts, given, cleaned, strict=True)]
        wanted = [i for i, one in enumerate(judged) if one.unread is None or (self.vectors and cleaned[i])]
        logits, complaints, vectors = self.infer([cleaned[i] for i in wanted])
        shares = self.card.calibration.sentiment(logits)
        risks = self.card.calibration.complaint(complaints)
        out = [Reading(model=self.name, lang=one.lang, unread=one.unread) for one in judged]
        for line, i in enumerate(wanted):
            one = judged[i]
            vector = vectors[line].tobytes() if vectors is not None else None
            if one.unread is not None:
                out[i] = Reading(model=self.name, lang=one.lang, unread=one.unread, vector=vector)
                continue
            negative, neutral, positive = shares[line].tolist()
            out[i] = Reading(
                model=self.name,
                sentiment=Sentiment(negative, neutral, positive),
                complaint=float(risks[line]),
                lang=one.lang,
                vector=vector,
            )
        return out

    def infer(
        self, cleaned: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float16] | None]:
        """Return sentiment logits (n, 3), complaint logits (n,) and unit story vectors (n, 384), if asked for.

        Args:
            cleaned: texts that went through `clean`.
        """
        ids = self._tokens.ids(cleaned, self.card.longest)
        size = self.card.shape.width
        logits = np.zeros((len(ids), 3), np.float32)
        complaints = np.zeros(len(ids), np.float32)
        vectors = np.zeros((len(ids), size), np.float16) if self.vectors else None
        for batch in batches([len(one) for one in ids], self._budget):
            table = np.zeros((len(batch), len(ids[batch[-1]])), np.int64)
            for line, i in enumerate(batch):
                table[line, : len(ids[i])] = ids[i]
            found = self._session.run(self._outputs, {"ids": table, "mask": (table > 0).astype(np.float32)})
            logits[batch] = found[0]
            complaints[batch] = found[1][:, 0]
            if vectors is not None:
                norms = np.linalg.norm(found[2], axis=1, keepdims=True)
                vectors[batch] = (found[2] / np.maximum(norms, 1e-9)).astype("<f2")
        return logits, complaints, vectors


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return indices by growing length, in batches whose padded size stays within `budget` tokens (one text at least).

    >>> batches([3, 9, 2, 4], 12)
    [[2, 0, 3], [1]]
    """
    out: list[list[int]] = []
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            out.append(batch)
            batch = []
        batch.append(index)
    if batch:
        out.append(batch)
    return out
