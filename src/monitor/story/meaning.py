"""Grouping by meaning: the reading's embedding and rare words, held against the live stories.

A story is the mean of its mentions' embeddings (a leader, as in Hartigan, "Clustering Algorithms", 1975, ch. 3) and the
counts of its words. What a plain leader lacks, and why it needs another threshold for every stream, is made up for by:

- **centring**: the stream's own running mean is taken off every embedding first (Mu and Viswanath, "All-but-the-top",
  2018), so that questions to one bank, all alike, are as far apart as headlines about anything;
- **rare words**: the cosine of the words weighted by inverse document frequency is added;
- **activity**: a story's share of the last mentions is its prior. What everybody speaks of right now takes in looser
  words; what nobody mentions has to be matched more closely. This is the threshold that adapts by itself;
- **merging**: after every mention the story it went to is held against the others, a fragment (few mentions) more
  leniently, so that it is taken in before it grows to be paged by itself.

At most `MeaningSettings.rows` stories are held, the single mentions that waited longest leaving first: the cost of a
mention does not grow beyond that, and each row is 2 x 384 floats.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from monitor.story.lexicon import Lexicon
    from monitor.story.story import Story

    Vector: TypeAlias = NDArray[np.float32]


class MeaningSettings(Struct, frozen=True, kw_only=True):
    """One setting for all streams, chosen on the public part of six labelled ones (docs/stories.md).

    `join`, `merge`: scores from which a mention joins and a story is merged; `fragment` is taken off `merge` where one
    of the two has at most `fragment_size` mentions. `words`, `merge_words`: weight of the words' cosine. `active`:
    weight of log(share of the last mentions / `usual_share`), at most `active_most`, times `active_negative` where it
    is negative; `active_halflife` is in mentions. `mean_prior`: so many mentions count as lying at the origin when the
    stream's mean is taken; from `mean_memory` on the older ones count half. `candidates`: so many of the nearest by
    embedding are looked at closely. `switch`: so many mentions in a row read by another model make its space the one
    that counts.
    """

    join: float = 0.46
    merge: float = 0.75
    fragment: float = 0.15
    fragment_size: int = 4
    words: float = 0.6
    merge_words: float = 0.5
    active: float = 0.15
    active_most: float = 0.2
    active_negative: float = 0.5
    active_halflife: float = 60.0
    active_prior: float = 30.0
    usual_share: float = 0.05
    least_share: float = 0.01
    mean_prior: float = 300.0
    mean_memory: float = 20_000.0
    candidates: int = 32
    rows: int = 4096
    switch: int = 50


class Mean(Struct, frozen=True, array_like=True):
    """A story's place in one model's space, to be stored: the mean embedding (float16 bytes), uncentred."""

    model: str
    vector: bytes
    weight: float
    tight: float
    count: int


SCALE_MOST = 1e12


class Meaning:
    """The live stories' places in the space of one model's embeddings."""

    def __init__(self, lexicon: Lexicon, settings: MeaningSettings) -> None:
        self._lexicon = lexicon
        self._settings = settings
        self._grow = 0.5 ** (-1.0 / settings.active_halflife)
        self._strangers = 0
        self._begin("", 0)

    def _begin(self, model: str, width: int) -> None:
        self.model = model
        self._width = width
        self._row: dict[str, int] = {}
        self._stories: list[Story] = []
        size = min(256, self._settings.rows)
        self._sum = np.zeros((size, width), np.float32)
        self._raw = np.zeros((size, width), np.float32)
        self._inverse = np.zeros(size, np.float32)
        self._weight = np.zeros(size)
        self._count = np.zeros(size, np.int64)
        self._active = np.zeros(size)
        self._word_norm = np.ones(size)
        self._touched = np.zeros(size)
        self._mean = np.zeros(width, np.float32)
        self._mean_weight = self._settings.mean_prior
        self._scale = 1.0
        self._total = 0.0
        self._clock = 0

    def __len__(self) -> int:
        return len(self._stories)

    def __contains__(self, story_id: str) -> bool:
        return story_id in self._row

    def read(self, model: str, vector: bytes | None) -> Vector | None:
        """Return an embedding of the space in use, or None: no embedding, of another model, or not a number."""
        if not vector or len(vector) % 2:
            return None
        if model != self.model or len(vector) != 2 * self._width:
            self._strangers += 1
            if self._width and self._strangers <= self._settings.switch:
                return None
            self._begin(model, len(vector) // 2)
        self._strangers = 0
        raw = np.frombuffer(vector, np.dtype("<f2")).astype(np.float32)
        length = float(np.sqrt(raw @ raw))
        return raw / np.float32(length) if 0.0 < length < np.inf else None

    def direction(self, raw: Vector) -> Vector:
        """Return the embedding without what the whole stream has in common, of length 1."""
        centred = raw - self._mean / np.float32(self._mean_weight)
        return np.asarray(centred / np.float32(max(1e-6, float(np.sqrt(centred @ centred)))), np.float32)

    def find(self, x: Vector, words: tuple[str, ...], allowed: Callable[[Story], bool]) -> tuple[Story, float] | None:
        """Return the story that a mention joins, with its score, or None."""
        if not self._stories:
            return None
        settings = self._settings
        weights = {word: self._lexicon.rarity(word) for word in words}
        norm = sqrt(sum(w * w for w in weights.values())) or 1.0
        cosines, nearest = self._nearest(x)
        best, best_row = settings.join, -1
        most = settings.words + settings.active_most
        for row in nearest:
            cosine = float(cosines[row])
            if cosine + most < best:
                continue
            score = cosine + self._prior(row) + settings.words * self._alike(weights, norm, row)
            if score >= best and (score > best or best_row < 0) and allowed(self._stories[row]):
                best, best_row = score, row
        return (self._stories[best_row], best) if best_row >= 0 else None

    def _nearest(self, x: Vector) -> tuple[Vector, list[int]]:
        n, k = len(self._stories), self._settings.candidates
        cosines = (self._sum[:n] @ x) * self._inverse[:n]
        rows = range(n) if n <= k else np.argpartition(cosines, n - k)[n - k :].tolist()
        return cosines, sorted(rows, key=lambda row: (-cosines[row], row))

    def _prior(self, row: int) -> float:
        settings = self._settings
        share = self._active[row] / max(self._total, self._scale * settings.active_prior)
        bonus = settings.active * log((share + settings.least_share) / settings.usual_share)
        return min(bonus, settings.active_most) if bonus > 0 else settings.active_negative * bonus

    def _alike(self, weights: Mapping[str, float], norm: float, row: int) -> float:
        counts = self._stories[row].words
        if len(counts) < len(weights):
            both = sum(weights[w] * n * self._lexicon.rarity(w) for w, n in counts.items() if w in weights)
        else:
            both = sum(w * counts[word] * self._lexicon.rarity(word) for word, w in weights.items() if word in counts)
        return float(both / (norm * self._word_norm[row]))

    def near(self, story: Story, allowed: Callable[[Story], bool]) -> tuple[Story, float] | None:
        """Return another story that is about the same matter, with its score, or None."""
        row = self._row.get(story.id)
        if row is None or len(self._stories) <= 1:
            return None
        settings = self._settings
        count = int(self._count[row])
        if count <= 1 or (count >= OFTEN and count % SELDOM):
            return None
        weights = {word: n * self._lexicon.rarity(word) for word, n in story.words.items()}
        cosines, nearest = self._nearest(self._sum[row] * self._inverse[row])
        best, best_row = -1.0, -1
        for other in nearest:
            cosine = float(cosines[other])
            if other == row or self._count[other] <= 1 or cosine + settings.merge_words < best:
                continue
            needed = settings.merge - (settings.fragment if self._small(row, other) else 0.0)
            if cosine + settings.merge_words < needed:
                continue
            score = cosine + settings.merge_words * self._alike(weights, float(self._word_norm[row]), other)
            if score >= needed and score > best and allowed(self._stories[other]):
                best, best_row = score, other
        return (self._stories[best_row], best) if best_row >= 0 else None

    def _small(self, one: int, two: int) -> bool:
        return bool(min(self._count[one], self._count[two]) <= self._settings.fragment_size)

    def learn(self, story: Story, raw: Vector, x: Vector, weight: float) -> None:
        """Move a story's mean towards a mention that joined it, and the stream's mean too."""
        self._scale *= self._grow
        if self._scale > SCALE_MOST:
            self._active /= self._scale
            self._total /= self._scale
            self._scale = 1.0
        self._total += self._scale
        row = self._row.get(story.id)
        if row is None:
            row = self._open(story)
        self._sum[row] += np.float32(weight) * x
        self._raw[row] += np.float32(weight) * raw
        self._weight[row] += weight
        self._count[row] += 1
        self._active[row] += self._scale
        self._refresh(row)
        self._mean += raw
        self._mean_weight += 1.0
        if self._mean_weight > self._settings.mean_memory:
            self._mean /= 2
            self._mean_weight /= 2

    def _refresh(self, row: int) -> None:
        self._clock += 1
        self._touched[row] = self._clock
        mine = self._sum[row]
        self._inverse[row] = 1.0 / max(1e-6, float(np.sqrt(mine @ mine)))
        count = self._count[row]
        if count < OFTEN or count % SELDOM == 0:
            rarity = self._lexicon.rarity
            words = self._stories[row].words
            self._word_norm[row] = sqrt(sum((n * rarity(word)) ** 2 for word, n in words.items())) or 1.0

    def _open(self, story: Story) -> int:
        if len(self._stories) >= self._settings.rows:
            n = len(self._stories)
            self.drop(self._stories[int(np.argmin(self._touched[:n] + 1e15 * (self._count[:n] > 1)))].id)
        row = len(self._stories)
        if row >= len(self._weight):
            self._widen()
        for array in self._rows():
            array[row] = 0
        self._word_norm[row] = 1.0
        self._stories.append(story)
        self._row[story.id] = row
        return row

    def _rows(self) -> tuple[NDArray[Any], ...]:
        numbers = self._weight, self._count, self._active, self._word_norm, self._touched
        return (self._sum, self._raw, self._inverse, *numbers)

    def _widen(self) -> None:
        self._sum, self._raw, self._inverse, self._weight, self._count, self._active, self._word_norm, self._touched = (
            np.concatenate([array, np.zeros_like(array)]) for array in self._rows()
        )

    def merge(self, src: Story, into: Story) -> None:
        """Let `into` have what `src` had; `into` already holds the words of both."""
        row = self._row.get(src.id)
        if row is None:
            return
        target = self._row.get(into.id)
        if target is None:
            self._row[into.id] = self._row.pop(src.id)
            self._stories[row] = into
            self._refresh(row)
            return
        for array in (self._sum, self._raw, self._weight, self._count, self._active):
            array[target] += array[row]
        self._refresh(target)
        self.drop(src.id)

    def drop(self, story_id: str) -> None:
        """Forget a story; the last row takes its place."""
        row = self._row.pop(story_id, None)
        if row is None:
            return
        last = self._stories.pop()
        if row < len(self._stories):
            for array in self._rows():
                array[row] = array[len(self._stories)]
            self._stories[row] = last
            self._row[last.id] = row

    def withdraw(self, story: Story, raw: Vector, weight: float) -> None:
        """Take a mention's embedding out of its story's mean again."""
        row = self._row.get(story.id)
        if row is None:
            return
        if self._count[row] <= 1:
            self.drop(story.id)
            return
        self._sum[row] -= np.float32(weight) * self.direction(raw)
        self._raw[row] -= np.float32(weight) * raw
        self._weight[row] = max(0.0, self._weight[row] - weight)
        self._count[row] -= 1
        self._refresh(row)

    def export(self, story_id: str) -> Mean | None:
        """Return a story's place, to be stored, or None if it has none."""
        row = self._row.get(story_id)
        if row is None or self._weight[row] <= 0:
            return None
        weight = float(self._weight[row])
        tight = float(np.sqrt(self._sum[row] @ self._sum[row])) / weight
        vector = (self._raw[row] / np.float32(weight)).astype("<f2").tobytes()
        return Mean(self.model, vector, weight, tight, int(self._count[row]))

    def adopt(self, story: Story, mean: Mean | None, *, learn: bool = True) -> None:
        """Take a stored place in. One of another model is left out: that story is found by its words and threads."""
        if mean is None or not mean.vector or (self._width and mean.model != self.model):
            return
        if not self._width:
            self._begin(mean.model, len(mean.vector) // 2)
        raw = np.frombuffer(mean.vector, np.dtype("<f2")).astype(np.float32)
        if len(raw) != self._width or not np.all(np.isfinite(raw)):
            return
        if learn:
            self._mean += raw * np.float32(mean.weight)
            self._mean_weight += mean.weight
        row = self._row.get(story.id)
        row = self._open(story) if row is None else row
        self._sum[row] = self.direction(raw) * np.float32(mean.tight * mean.weight)
        self._raw[row] = raw * np.float32(mean.weight)
        self._weight[row] = mean.weight
        self._count[row] = mean.count
        self._refresh(row)


OFTEN = 12
"""Up to so many mentions a story is held against the others after each; later after every `SELDOM`-th."""
SELDOM = 4
