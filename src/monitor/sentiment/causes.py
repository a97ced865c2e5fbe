"""Why people complain: a tree of causes in a file, told by its examples. Adding a cause is editing the file.

A text is held against every example by the story vector (what it means) and by its words (what it names: "wheel",
"queue"), weighed by how rare a word is in the encoder's own vocabulary. A cause's score is the mean of its best two
examples and of its prototype (Snell et al. 2017); a softmax over the causes gives `p`. Where the best is weak the
answer is `unclear`, and `best` is the forced choice all the same.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from monitor.mention.yamlfile import FileError, Section, load
from monitor.sentiment.reading import UNCLEAR, Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

SHIPPED: Final = Path(__file__).parent / "causes"
"""The trees that come with the product: travel, retail, software."""
_WORD: Final = re.compile(r"[a-z]{3,}")
_ID: Final = re.compile(r"[a-z][a-z0-9_]*")


class Node(Struct, frozen=True):
    """One cause: its parent's id, if it has one, and its examples; one with children may have none."""

    id: str
    name: str
    parent: str | None
    examples: tuple[str, ...]


class Tuning(Struct, frozen=True):
    """How words weigh against meaning, how sharply scores differ, and from which `p` on a cause is named."""

    words: float = 0.4
    sharp: float = 14.0
    dare: float = 0.46


def load_causes(path: Path | str) -> tuple[Node, ...]:
    """Read a tree of causes.

    Args:
        path: a file, or the name of a shipped tree.

    Raises:
        FileError: the file is refused, with its line and the mend.

    >>> [node.id for node in load_causes("travel") if node.parent == "luggage"]
    ['lost_luggage', 'damaged_luggage']
    """
    shipped = SHIPPED / f"{path}.yaml"
    top = load(shipped if shipped.exists() else Path(path))
    top.only(["version", "name", "causes"])
    if top.number("version", least=1) != 1:
        raise top.error("version", "the version is not 1", "write `version: 1`")
    nodes: dict[str, Node] = {}
    sections = top.sections("causes")
    parents = {section.text("parent") for section in sections}
    for section in sections:
        node = _node(section, parents)
        if node.id in nodes:
            raise section.error("id", f"the cause {node.id!r} stands here twice", "take one out")
        if node.parent is not None and node.parent not in nodes:
            raise section.error(
                "parent", f"no cause {node.parent!r} stands above", "put the parent before its children"
            )
        nodes[node.id] = node
    if not any(node.examples for node in nodes.values()):
        raise FileError(top.path, top.line("causes"), "no cause has examples", "give each 5 to 10 phrases")
    return tuple(nodes.values())


def _node(section: Section, parents: set[str | None]) -> Node:
    section.only(["id", "name", "parent", "examples"])
    name = section.needed("id")
    if not _ID.fullmatch(name) or name == UNCLEAR:
        raise section.error("id", f"{name!r} cannot be a cause's id", "use small letters, digits and _, not `unclear`")
    examples = tuple(text for text, _ in section.texts("examples"))
    if not examples and name not in parents:
        raise section.error(None, f"the cause {name!r} has no examples", "give it 5 to 10 phrases as people say them")
    return Node(name, section.text("name") or name, section.text("parent"), examples)


class CauseReader:
    """Tells causes by their examples.

    Args:
        nodes: the tree.
        embed: gives unit vectors (n, width) of texts: the same that the readings carry.
        ranks: word to its place in the encoder's vocabulary, the commonest first.
        tuning: the settings.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        embed: Callable[[Sequence[str]], NDArray[np.float32]],
        ranks: Mapping[str, int],
        tuning: Tuning | None = None,
    ) -> None:
        self._tuning = tuning or Tuning()
        self._ranks = ranks
        told = [node for node in nodes if node.examples]
        self.ids = [node.id for node in told]
        texts = [text for node in told for text in node.examples]
        self._of = np.array([index for index, node in enumerate(told) for _ in node.examples])
        self._examples = embed(texts)
        means = np.stack([self._examples[self._of == index].mean(axis=0) for index in range(len(told))])
        self._means = means / np.linalg.norm(means, axis=1, keepdims=True)
        rare = [{word: self._rarity(word) for word in map(stem, _WORD.findall(text.lower()))} for text in texts]
        words = dict.fromkeys(word for row in rare for word in sorted(row) if row[word] > 0)
        self._places = {word: place for place, word in enumerate(words)}
        self._known = lru_cache(maxsize=20_000)(self._known_word)
        self._words = self._bags(texts)

    def scores(self, vectors: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, causes): how near each text is to each cause.

        Args:
            vectors: unit vectors of the texts, (n, width).
            texts: the texts, cleaned.
        """
        tuning = self._tuning
        near = vectors @ self._examples.T + tuning.words * (self._bags(texts) @ self._words.T)
        out = np.empty((len(texts), len(self.ids)), np.float32)
        for index in range(len(self.ids)):
            mine = near[:, self._of == index]
            best = np.sort(mine, axis=1)[:, -2:].mean(axis=1)
            out[:, index] = (best + vectors @ self._means[index]) / 2
        return out

    def read(self, vectors: NDArray[np.float32], texts: Sequence[str]) -> list[Cause]:
        """Return the cause of each text; see `scores` for the arguments."""
        if not len(texts):
            return []
        powers = np.exp((self.scores(vectors, texts)) * self._tuning.sharp)
        shares = powers / powers.sum(axis=1, keepdims=True)
        out = []
        for line, index in zip(shares, shares.argmax(axis=1).tolist(), strict=True):
            best, p = self.ids[index], float(line[index])
            out.append(Cause(best if p >= self._tuning.dare else UNCLEAR, p, best))
        return out

    def _bags(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, words of the examples): unit vectors of the words' rarities; words of no example are left out."""
        out = np.zeros((len(texts), len(self._places)), np.float32)
        for index, text in enumerate(texts):
            row = sorted({known for word in _WORD.findall(text.lower()) if (known := self._known(word)) is not None})
            length = math.sqrt(sum(weight * weight for _, _, weight in row)) or 1.0
            for _, place, weight in row:
                out[index, place] = weight / length
        return out

    def _known_word(self, word: str) -> tuple[str, int, float] | None:
        """Return the stem of an examples' word, its column and its weight; None for a word of no example."""
        root = stem(word)
        place = self._places.get(root)
        return None if place is None else (root, place, self._rarity(root))

    def _rarity(self, word: str) -> float:
        rank = self._ranks.get(word, len(self._ranks))
        return max(0.0, math.log((rank + 1) / _COMMON))


_COMMON: Final = 2_300
"""The place in the vocabulary up to which words say nothing of a cause: signs, single letters, `the`, `and`, `my`."""


def stem(word: str) -> str:
    """Return a word without its commonest endings, so that `bags` meets `bag` and `delayed` meets `delay`.

    >>> [stem(word) for word in ("bags", "delayed", "waiting", "cancelled", "bus", "queue")]
    ['bag', 'delay', 'wait', 'cancel', 'bus', 'queue']
    """
    for ending in ("ings", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):  # noqa: PLR2004 -- a stem
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "se" else word  # noqa: PLR2004 -- the same
