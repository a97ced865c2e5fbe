"""Any other Hugging Face sequence-classification checkpoint as a scorer (extra `train`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.sentiment.errors import ModelError
from monitor.sentiment.reading import Reading, Sentiment
from monitor.sentiment.runtime import BUDGET, batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

LONGEST: Final = 128
_STARS: Final = re.compile(r"([1-5])\s*stars?", re.IGNORECASE)
_PLAIN: Final = {2: ((1, 0, 0), (0, 0, 1)), 3: ((1, 0, 0), (0, 1, 0), (0, 0, 1))}


def label_table(labels: Mapping[int, str]) -> NDArray[np.float32]:
    """Return (classes, 3): which of negative, neutral, positive each class of a checkpoint means.

    Raises:
        ModelError: a label's name cannot be understood.

    >>> label_table({0: "POSITIVE", 1: "NEGATIVE"}).argmax(axis=1).tolist()
    [2, 0]
    >>> label_table({i: f"{i + 1} stars" for i in range(5)}).argmax(axis=1).tolist()
    [0, 0, 1, 2, 2]
    """
    names = [labels[index] for index in sorted(labels)]
    if all(re.fullmatch(r"LABEL_\d+", name) for name in names) and len(names) in _PLAIN:
        return np.array(_PLAIN[len(names)], np.float32)
    out = np.zeros((len(names), 3), np.float32)
    for index, name in enumerate(names):
        low = name.lower()
        stars = _STARS.search(low)
        if stars:
            out[index, (0, 0, 1, 2, 2)[int(stars[1]) - 1]] = 1
        elif low.startswith(("neg", "very neg", "very_neg")):
            out[index, 0] = 1
        elif low.startswith("neu"):
            out[index, 1] = 1
        elif low.startswith(("pos", "very pos", "very_pos")):
            out[index, 2] = 1
        else:
            raise ModelError(
                f"The checkpoint's label {name!r} is none of negative, neutral, positive or stars; "
                "name its labels so in its config.json (id2label)."
            )
    return out


class HuggingFaceScorer:
    """Reads sentiment with a checkpoint by folder or hub name; it gives no complaint, and its own mean as vector.

    Args:
        checkpoint: a folder or a hub name.
        threads: CPU threads; None: torch's own choice.
        vectors: readings carry the mean of the last hidden layer, of the checkpoint's own width.

    Raises:
        ModelError: torch and transformers are not installed, or the checkpoint cannot be loaded.
    """

    def __init__(self, checkpoint: str, *, threads: int | None = None, vectors: bool = False) -> None:
        try:
            import torch  # noqa: PLC0415 -- only with the extra
            from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415 -- the same
        except ImportError as gone:
            raise ModelError("A Hugging Face checkpoint needs torch: pip install 'mention-monitor[train]'.") from gone
        if threads:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
            self._model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
        except (OSError, ValueError, KeyError) as broken:
            raise ModelError(f"The checkpoint {checkpoint!r} cannot be loaded: {broken}") from broken
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device)
        self._table = label_table(self._model.config.id2label)
        self.vectors = vectors
        self.name = f"hf:{checkpoint}"
        self.runtime = f"torch {self._device}"

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order; without text it is `unread`."""
        given = list(langs) if langs is not None else [None] * len(texts)
        plain = [text.encode("utf-8", "ignore").decode().replace("\0", " ").strip()[:2000] for text in texts]
        out = [Reading(model=self.name, lang=lang, unread="empty") for lang in given]
        wanted = [index for index, text in enumerate(plain) if text]
        if not wanted:
            return out
        ids = self._tokenizer([plain[i] for i in wanted], truncation=True, max_length=LONGEST)["input_ids"]
        for batch in batches([len(one) for one in ids], BUDGET):
            table = self._tokenizer.pad({"input_ids": [ids[i] for i in batch]}, return_tensors="pt").to(self._device)
            with self._torch.inference_mode():
                found = self._model(**table, output_hidden_states=self.vectors)
            shares = found.logits.float().softmax(-1).cpu().numpy() @ self._table
            vectors = self._vectors(found, table) if self.vectors else None
            for line, i in enumerate(batch):
                negative, neutral, positive = (float(share) for share in shares[line])
                out[wanted[i]] = Reading(
                    model=self.name,
                    sentiment=Sentiment(negative, neutral, positive),
                    lang=given[wanted[i]],
                    vector=vectors[line].tobytes() if vectors is not None else None,
                )
        return out

    def _vectors(self, found: Any, table: Any) -> NDArray[np.float16]:
        mask = table["attention_mask"][:, :, None]
        mean = (found.hidden_states[-1] * mask).sum(1) / mask.sum(1)
        vectors: NDArray[np.float16] = (mean / mean.norm(dim=1, keepdim=True)).float().cpu().numpy().astype("<f2")
        return vectors
