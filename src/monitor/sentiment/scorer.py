"""The seam between the pipeline and whatever reads texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monitor.sentiment.cache import CachedScorer
from monitor.sentiment.errors import ModelError
from monitor.sentiment.stub import StubScorer
from monitor.sentiment.weights import PACKAGED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sentiment.cpu import Wanted
    from monitor.sentiment.reading import Reading


class Scorer(Protocol):
    """Reads texts; never raises for what a text holds.

    Called from one thread at a time, or from `at_once` threads if it has an attribute of that name.
    """

    @property
    def name(self) -> str:
        """The model version, as every reading carries it."""
        ...

    @property
    def runtime(self) -> str:
        """What runs the model, for logs and for people."""
        ...

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order.

        Args:
            texts: any text at all; what cannot be read gets a reading with `unread`, never an exception.
            langs: what is known of each text's language, as long as `texts`; None: nothing is known of any.
        """
        ...


def load_scorer(
    model: str | Path | None = None,
    *,
    threads: int | None = None,
    runtime: Wanted = "auto",
    vectors: bool = False,
    causes: str | Path | None = "travel",
    cache_bytes: int = 64 << 20,
) -> Scorer:
    """Load a model, ready to read.

    Args:
        model: None for the packaged weights; a folder of weights; a Hugging Face checkpoint by folder or name
            (needs the extra `train`); `stub` for the word list of the tests.
        threads: CPU threads for the model; None: every core that the process may use.
        runtime: how weights are run: `int8`, `float32`, or `auto`: the faster one that this CPU reads as well with.
            Other checkpoints run as they are.
        vectors: readings carry their embedding (768 bytes each).
        causes: a tree of causes, by file or by the name of a shipped one; None: readings carry no cause. Other
            checkpoints than the packaged weights tell none.
        cache_bytes: memory for readings of texts already read; 0 keeps none.

    Raises:
        ModelError: the weights are missing, truncated or unknown; the message says what to do.
        FileError: the tree of causes is refused; the message says file, line and the mend.
    """
    if model == "stub":
        return StubScorer(vectors=vectors)
    from monitor.sentiment.runtime import OnnxScorer  # noqa: PLC0415 -- a stub needs no runtime

    if model is None or (Path(model) / "model.json").exists():
        folder = PACKAGED if model is None else Path(model)
        packed = OnnxScorer(folder, threads=threads, runtime=runtime, vectors=vectors, causes=causes)
        return CachedScorer(packed, cache_bytes) if cache_bytes else packed
    if isinstance(model, Path) and not (model / "config.json").exists():
        raise ModelError(
            f"There are no weights at {model}: no model.json is there. `monitor model train` makes such a folder; "
            "without model.path the packaged ones are taken."
        )
    from monitor.sentiment.huggingface import HuggingFaceScorer  # noqa: PLC0415 -- the same

    other = HuggingFaceScorer(str(model), threads=threads, vectors=vectors)
    return CachedScorer(other, cache_bytes) if cache_bytes else other
