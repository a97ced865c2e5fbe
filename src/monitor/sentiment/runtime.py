"""The packaged weights at work: ONNX Runtime on a CPU, no torch in the process.

Batches are made by tokens, not by texts, of texts of like length, and each is worked on by one thread. Nothing in a
batch depends on its neighbours: scales are fixed and padding is masked, so a text reads the same alone and in any.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.sentiment.causes import CauseReader, load_causes
from monitor.sentiment.cpu import choose, cores, cpu_features
from monitor.sentiment.language import Language
from monitor.sentiment.reading import UNCLEAR, Cause, Reading, Sentiment
from monitor.sentiment.session import open_session
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.weights import PACKAGED, read_card

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.sentiment.cpu import Wanted

BUDGET: Final = 512
"""Tokens of one batch, padding included: so few that what is worked on stays in the core's own cache."""
START: Final = 16
"""What a batch costs by itself, in tokens."""
OUTPUTS: Final = ("sentiment", "complaint", "story")
CROSS: Final = 0.3
"""From which probability of a negative text or of a complaint on a cause is named."""


class OnnxScorer:
    """Reads with the packaged weights, or with any folder of weights that `monitor model train` made.

    May be called from several threads at a time: `threads` of its own work for all of them.

    Args:
        folder: the weights.
        threads: CPU threads, one for each batch; None: every core that this process may use.
        runtime: `int8`, `float32`, or `auto`: the faster one that this CPU reads as well with.
        vectors: readings carry their story vector.
        causes: a tree of causes, by file or by the name of a shipped one; None: readings carry no cause.
        budget: tokens of one batch, padding included.
        language: judges what can be read.

    Raises:
        ModelError: the weights are missing, damaged or cannot be run.
        FileError: the tree of causes is refused.
    """

    at_once = 2
    """Calls at a time from which on more gain nothing: one is made ready while the model works on the other."""

    def __init__(
        self,
        folder: Path = PACKAGED,
        *,
        threads: int | None = None,
        runtime: Wanted = "auto",
        vectors: bool = False,
        causes: str | Path | None = None,
        budget: int = BUDGET,
        language: Language | None = None,
    ) -> None:
        self.card = read_card(folder)
        self.vectors = vectors
        self.threads = threads or cores()
        self._budget = budget
        self._tokens = Tokens(folder / "tokenizer.json")
        self._language = language or Language()
        self.kind = choose(runtime, self.card, cpu_features())
        self._session = open_session(folder, self.card, self.kind)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="model")
        self._causes: CauseReader | None = None
        if causes is not None:
            self._causes = CauseReader(load_causes(causes), self._embed, self._tokens.ranks)

    @property
    def name(self) -> str:
        """The model version."""
        return self.card.name

    @property
    def runtime(self) -> str:
        """How the weights are run, for logs and for people."""
        return f"onnxruntime {self.kind}"

    def clean(self, text: str) -> str:
        """Return the text as the model sees it: texts that are equal here read equally."""
        return self._tokens.clean(text)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.infer([self.clean(text) for text in texts])[2].astype(np.float32)

    def read(
        self, texts: Sequence[str], langs: Sequence[str | None] | None = None, cleaned: Sequence[str] | None = None
    ) -> list[Reading]:
        """Return one reading per text, in order; `cleaned` are the texts after `clean`, if at hand."""
        if not texts:
            return []
        if cleaned is None:
            cleaned = [self.clean(text) for text in texts]
        given = langs if langs is not None else [None] * len(texts)
        judged = [self._language.judge(*one) for one in zip(texts, given, cleaned, strict=True)]
        wanted = [i for i, one in enumerate(judged) if one.unread is None or (self.vectors and cleaned[i])]
        told = [cleaned[i] for i in wanted]
        logits, complaints, vectors = self.infer(told)
        causes = self._causes.read(vectors.astype(np.float32), told) if self._causes else None
        shares = self.card.calibration.sentiment(logits)
        risks = self.card.calibration.complaint(complaints, logits)
        out = [Reading(model=self.name, lang=one.lang, unread=one.unread) for one in judged]
        for line, i in enumerate(wanted):
            one = judged[i]
            vector = vectors[line].tobytes() if self.vectors else None
            if one.unread is not None:
                out[i] = Reading(model=self.name, lang=one.lang, unread=one.unread, vector=vector)
                continue
            negative, neutral, positive = shares[line].tolist()
            out[i] = Reading(
                model=self.name,
                sentiment=Sentiment(negative, neutral, positive),
                complaint=float(risks[line]),
                cause=blame(causes[line], negative, float(risks[line])) if causes else None,
                lang=one.lang,
                vector=vector,
            )
        return out

    def infer(self, cleaned: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float16]]:
        """Return sentiment logits (n, 3), complaint logits (n,) and unit story vectors (n, 384).

        Args:
            cleaned: texts that went through `clean`.
        """
        ids = self._tokens.ids(cleaned, self.card.longest)
        size = self.card.shape.width
        logits = np.zeros((len(ids), 3), np.float32)
        complaints = np.zeros(len(ids), np.float32)
        vectors = np.zeros((len(ids), size), np.float16)

        def work(batch: list[int]) -> None:
            table = np.zeros((len(batch), len(ids[batch[-1]])), np.int64)
            for line, i in enumerate(batch):
                table[line, : len(ids[i])] = ids[i]
            found = self._session.run(OUTPUTS, {"ids": table, "mask": (table > 0).astype(np.float32)})
            logits[batch] = found[0]
            complaints[batch] = found[1][:, 0]
            norms = np.linalg.norm(found[2], axis=1, keepdims=True)
            vectors[batch] = (found[2] / np.maximum(norms, 1e-9)).astype("<f2")

        jobs = batches([len(one) for one in ids], self._budget)
        list(self._pool.map(work, reversed(jobs)))  # the long ones first, so that all end together
        return logits, complaints, vectors


def blame(cause: Cause, negative: float, complaint: float) -> Cause:
    """Return the cause of a text that is cross about something; of another, `unclear` with the best guess beside it.

    >>> blame(Cause("late_flight", 0.9, "late_flight"), negative=0.05, complaint=0.02).id
    'unclear'
    """
    return cause if max(negative, complaint) >= CROSS else Cause(UNCLEAR, cause.p, cause.best)


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return indices by growing length, in batches whose padded size stays within `budget` tokens (one text at least).

    Of all ways to cut, the one with the least padding, where each batch costs `START` tokens by itself.

    >>> batches([3, 9, 2, 40, 4], 60)
    [[2, 0, 4, 1], [3]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    costs, cuts = [0.0], [0]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(0, end - max(1, budget // max(longest, 1)))
        cost, cut = min((costs[start] + (end - start) * longest + START, start) for start in range(first, end))
        costs.append(cost)
        cuts.append(cut)
    out: list[list[int]] = []
    end = len(order)
    while end:
        out.append(order[cuts[end] : end])
        end = cuts[end]
    return out[::-1]
