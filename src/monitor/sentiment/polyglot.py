"""Other models for other languages: what the first one leaves unread for its language goes to whoever reads that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from monitor.sentiment.language import detect, primary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer


class PolyglotScorer:
    """A scorer with others beside it, one for each further language.

    Such a reading names the other model; its vector stays the first one's, so that stories are grouped in one space.

    Args:
        scorer: the first one; it decides what it cannot read.
        others: scorers by two-letter language.

    >>> from monitor.sentiment.reading import Reading
    >>> from monitor.sentiment.stub import StubScorer
    >>> class English(StubScorer):
    ...     def read(self, texts, langs=None):
    ...         return [Reading(model="en-1", lang="es", unread="language") for _ in texts]
    >>> PolyglotScorer(English(), {"es": StubScorer()}).read(["gracias"])[0].model
    'stub-1'
    """

    def __init__(self, scorer: Scorer, others: Mapping[str, Scorer]) -> None:
        self.inner = scorer
        self.others = others

    @property
    def name(self) -> str:
        """The model version of the first scorer."""
        return self.inner.name

    @property
    def runtime(self) -> str:
        """What runs the first scorer."""
        return self.inner.runtime

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        """Return one reading per text, in order."""
        out = self.inner.read(texts, langs)
        by_language: dict[str, list[int]] = {}
        for index, one in enumerate(out):
            if one.unread not in {"language", "script"}:
                continue
            lang = one.lang or detect(texts[index]) or primary(langs[index] if langs else None)
            if lang in self.others:
                by_language.setdefault(str(lang), []).append(index)
        for lang, picked in by_language.items():
            found = self.others[lang].read([texts[i] for i in picked], [lang] * len(picked))
            for index, reading in zip(picked, found, strict=True):
                out[index] = msgspec.structs.replace(reading, lang=lang, vector=out[index].vector)
        return out
