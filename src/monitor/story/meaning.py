"""Grouping by meaning: the reading's embedding and rare words, held against the live stories.

A story is the sum of its mentions' embeddings (a leader, as in Hartigan, "Clustering Algorithms", 1975, ch. 3) and the
counts of its words. What a plain leader lacks, and why it needs another threshold for every stream, is made up for by:

- **likelihood, not cosine**: how much likelier a mention is as one of the story's than as one of another, were stories
  spread about the stream's mean and mentions about their stories as normal distributions (probabilistic linear
  discriminant analysis: Ioffe 2006; Prince and Elder 2007). The mean of two texts is a poor guess of what a story is
  about, that of fifty a good one: the ratio asks of both what is fair, a cosine does not;
- **centring**: the stream's own running mean is taken off every embedding first (Mu and Viswanath, "All-but-the-top",
  2018), so that questions to one bank, all alike, are as far apart as headlines about anything;
- **rare words**: the cosine of the words weighted by inverse document frequency is added;
- **activity**: a story's share of the last mentions is its prior. What everybody speaks of right now takes in looser
  words; what nobody mentions has to be matched more closely. This is the threshold that adapts by itself;
- **merging**: after every mention the story it went to is held against the others by the same ratio, so that a
  fragment is taken in before it grows to be paged by itself.

At most `MeaningSettings.rows` stories are held, the single mentions that waited longest leaving first: the cost of a
mention does not grow beyond that, and each row is 2 x 384 floats.
"""

from __future__ import annotations

from array import array
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from monitor.story.background import Background
from monitor.story.likelihood import HALF, largest, line, same_matter, unit
from monitor.story.shortlist import Shortlist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from monitor.story.lexicon import Lexicon
    from monitor.story.settings import MeaningSettings
    from monitor.story.story import Story

    Vector: TypeAlias = NDArray[np.float32]


class Mean(Struct, frozen=True, array_like=True):
    """A story's place in one model's space, to be stored: the mean embedding (float16 bytes), uncentred."""

    model: str
    vector: bytes
    weight: float
    tight: float
    count: int


class _Looked(Struct, frozen=True):
    """What was looked for last: the direction, its short form, the rows found."""

    x: Any = None
    short: Any = None
    rows: tuple[int, ...] | list[int] = ()


_LOOKED_FOR_NOTHING = _Looked()
LEAST_LENGTH = 1e-6
SCALE_MOST = 1e12


class Meaning:
    """The live stories' places in the space of one model's embeddings."""

    def __init__(self, umbrella: str, lexicon: Lexicon, settings: MeaningSettings) -> None:
        self._umbrella = umbrella
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
        self._singles: dict[str, None] = {}
        size = min(256, self._settings.rows)
        self._sum = np.zeros((size, width), np.float32)
        self._raw = np.zeros((size, width), np.float32)
        self._shortlist = Shortlist(width, size, DIRECT)
        self._slope = np.zeros(size, np.float32)
        self._offset = np.zeros(size, np.float32)
        # One number a row, side by side in memory: those of the nearest are looked up for every mention.
        self._tight = array("d")
        self._weight = array("d")
        self._count = array("q")
        self._active = array("d")
        self._word_square = array("d")
        self._touched = array("q")
        self._background = Background(self._umbrella, width, self._settings.background)
        self._scale = 1.0
        self._total = 0.0
        self._clock = 0
        self._peak = 0.0
        self._last = _LOOKED_FOR_NOTHING

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
        return unit(vector)

    def direction(self, raw: Vector, brands: tuple[str, ...]) -> Vector:
        """Return the embedding without what all that is said of its brand has in common, of length 1."""
        centred = raw - self._background.of(brands)
        centred /= max(LEAST_LENGTH, sqrt(centred.dot(centred)))
        return centred

    def find(self, x: Vector, words: tuple[str, ...], allowed: Callable[[Story], bool]) -> tuple[Story, float] | None:
        """Return the story that a mention joins, with its score, or None."""
        if not self._stories:
            return None
        settings = self._settings
        squares = self._lexicon.squares(words)
        norm = sqrt(sum(squares.values())) or 1.0
        best, best_row = settings.join, -1
        recent = max(self._total, self._scale * settings.active_prior)
        active, weight, seldom = self._active, settings.active, settings.least_share * recent
        usual = weight * log(settings.usual_share * recent)
        said, stories, negative, most = squares.keys(), self._stories, settings.active_negative, settings.words
        lift = weight * log(self._peak + seldom) - usual
        reach = most + (negative * lift if lift <= 0 else min(lift, settings.active_most))
        least = max(settings.join_least, best - reach)
        quiet = FAINT * seldom
        hushed = weight * log(quiet + seldom) - usual
        hushed = negative * hushed if hushed <= 0 else min(hushed, settings.active_most)
        hopeful = most + hushed
        hopeless, lost = best - hopeful, best - hushed
        for likelihood, row in zip(*self._nearest(x)):  # noqa: B905 -- to ask for equal lengths takes longer than this
            if likelihood < least:
                break
            # To look up the words of many stories takes longest: few are left that could win by them.
            if active[row] <= quiet and (
                likelihood < hopeless or (likelihood < lost and said.isdisjoint(stories[row].words.keys()))
            ):
                continue
            bonus = weight * log(active[row] + seldom) - usual
            score = likelihood + (negative * bonus if bonus <= 0 else self._lifted(bonus, row))
            if score + most < best or (score < best and said.isdisjoint(stories[row].words.keys())):
                continue
            score += most * self._alike(squares, norm, row)
            if score >= best and (score > best or not 0 <= best_row < row) and allowed(stories[row]):
                best, best_row, least = score, row, max(least, score - reach)
                hopeless, lost = best - hopeful, best - hushed
        return (stories[best_row], best) if best_row >= 0 else None

    def _nearest(self, x: Vector) -> tuple[list[float], list[int]]:
        """Return log-likelihood ratios and rows of the likeliest stories, best first. The rows are kept for `near`."""
        n, k = len(self._stories), self._settings.candidates
        short = self._shortlist.shorten(x) if n > DIRECT else None
        if short is not None:
            rows = self._shortlist.pick(short, self._slope[:n], self._offset[:n], 2 * k)
            ratios = self._sum.take(rows, axis=0).dot(x)
            ratios *= self._slope.take(rows)
            ratios += self._offset.take(rows)
            order = largest(ratios, k)
            found = rows.take(order).tolist()
        else:
            ratios = self._sum[:n].dot(x)
            ratios *= self._slope[:n]
            ratios += self._offset[:n]
            order = largest(ratios, k)
            found = order.tolist()
        self._last = _Looked(x, short, found)
        return ratios.take(order).tolist(), found

    def _lifted(self, bonus: float, row: int) -> float:
        """Return what is left of a story's bonus for being spoken of: the looser it is, the less."""
        settings = self._settings
        slack = (self._tight[row] - settings.loose) / (settings.tight - settings.loose)
        return min(bonus, settings.active_most) * min(1.0, max(0.0, slack))

    def _alike(self, squares: Mapping[str, float], norm: float, row: int) -> float:
        """Return the cosine of weighted words; `squares` are counts times squared rarities."""
        counts = self._stories[row].words
        both = 0.0
        if len(counts) < len(squares):
            for word, n in counts.items():
                if word in squares:
                    both += n * squares[word]
        else:
            for word, square in squares.items():
                if word in counts:
                    both += square * counts[word]
        return both / (norm * self._word_length(row)) if both else 0.0

    def _word_length(self, row: int) -> float:
        """Return the length of a story's weighted words; after a copy it is reckoned anew when it is asked for."""
        square = self._word_square[row]
        if square == UNKNOWN:
            square = self._word_square[row] = self._lexicon.square(self._stories[row].words)
        return sqrt(square) or 1.0

    def near(self, story: Story, x: Vector, allowed: Callable[[Story], bool]) -> tuple[Story, float] | None:
        """Return another story about the same matter as `story`, which mention `x` just joined, or None.

        Only the stories nearest to the mention are held against it: its new neighbours are among them.
        """
        row = self._row.get(story.id)
        if row is None or len(self._stories) <= 1:
            return None
        settings = self._settings
        count = self._count[row]
        if count <= 1 or (count >= OFTEN and count % SELDOM):
            return None
        if self._last.x is not x:
            self._nearest(x)
        others = self._neighbours(row)
        if not others:
            return None
        products = self._sum.take(np.array(others), axis=0).dot(self._sum[row])
        norm = self._word_length(row)
        squares: dict[str, float] | None = None
        best, best_row = settings.merge, -1
        for product, other in zip(products.tolist(), others, strict=True):
            likelihood = self._same(row, other, product)
            if likelihood < settings.merge_least or likelihood + settings.merge_words < best:
                continue
            if squares is None:
                said = story.words
                squares = {word: said[word] * square for word, square in self._lexicon.squares(said).items()}
            score = likelihood + settings.merge_words * self._alike(squares, norm, other)
            if score >= best and (score > best or best_row < 0) and allowed(self._stories[other]):
                best, best_row = score, other
        return (self._stories[best_row], best) if best_row >= 0 else None

    def _same(self, one: int, two: int, product: float) -> float:
        """Return how much likelier two stories are one matter than two, by the inner product of their sums."""
        settings, weight, tight = self._settings, self._weight, self._tight
        return same_matter(
            weight[one], weight[two], tight[one], tight[two], product, kin=settings.kinship, known=settings.merge_known
        )

    def _neighbours(self, row: int) -> list[int]:
        """Return the rows nearest to the mention that was looked for last, without `row` and single mentions."""
        count, most = self._count, self._settings.neighbours
        found: list[int] = []
        for other in self._last.rows:
            if count[other] > 1 and other != row:
                found.append(other)
                if len(found) == most:
                    break
        return found

    def repeat(self, story: Story) -> None:
        """Count a mention that repeats what the story says: it is spoken of, and its mean stays."""
        self._speak()
        row = self._row.get(story.id)
        if row is not None:
            self._spoken_of(row)
            self._word_square[row] = UNKNOWN

    def _spoken_of(self, row: int) -> None:
        active = self._active[row] = self._active[row] + self._scale
        self._peak = max(self._peak, active)

    def _speak(self) -> None:
        self._scale *= self._grow
        if self._scale > SCALE_MOST:
            self._active = array("d", [active / self._scale for active in self._active])
            self._total /= self._scale
            self._peak = max(self._active, default=0.0)
            self._scale = 1.0
        self._total += self._scale

    def learn(self, story: Story, raw: Vector, x: Vector, brands: tuple[str, ...], weight: float) -> None:
        """Move a story's mean towards a mention that joined it, and its brand's background too."""
        self._speak()
        row = self._row.get(story.id)
        if row is None:
            row = self._open(story)
        mine, uncentred, looked = self._sum[row], self._raw[row], self._last
        short = looked.short if looked.x is x else None
        if short is None:
            short = self._shortlist.shorten(x)
        if weight != 1.0:
            raw_share, share, short = weight * raw, weight * x, None if short is None else weight * short
            mine += share
            uncentred += raw_share
        else:
            mine += x
            uncentred += raw
        if short is not None:
            line = self._shortlist.lines[row]
            line += short
        self._weight[row] += weight
        count = self._count[row] = self._count[row] + 1
        self._spoken_of(row)
        self._settle(row, mine)
        if count < OFTEN or count % SELDOM == 0:
            self._word_square[row] = self._lexicon.square(story.words)
        self._background.learn(raw, brands, count)

    def _refresh(self, row: int) -> None:
        """Reckon anew all that follows from a story's sum and words."""
        mine = self._sum[row]
        if (short := self._shortlist.shorten(mine)) is not None:
            self._shortlist.lines[row] = short
        self._settle(row, mine)
        self._word_square[row] = self._lexicon.square(self._stories[row].words)

    def _settle(self, row: int, mine: Vector) -> None:
        """Reckon anew what follows from a story's sum, `mine`, and its weight."""
        self._clock += 1
        self._touched[row] = self._clock
        square = float(mine.dot(mine))
        weight = self._weight[row] = max(LEAST_WEIGHT, self._weight[row])
        self._slope[row], self._offset[row] = line(weight, square, self._settings.kinship)
        self._tight[row] = sqrt(square) / weight
        if self._count[row] > 1:
            self._singles.pop(self._stories[row].id, None)

    def _open(self, story: Story) -> int:
        if len(self._stories) >= self._settings.rows:
            oldest = next(iter(self._singles), None)
            if oldest is None:
                oldest = self._stories[min(range(len(self._stories)), key=self._touched.__getitem__)].id
            self.drop(oldest)
        row = len(self._stories)
        if row >= len(self._slope):
            self._sum, self._raw, self._shortlist.lines, self._slope, self._offset = (
                np.concatenate([rows, np.zeros_like(rows)]) for rows in self._arrays()
            )
        for rows in self._arrays():
            rows[row] = 0
        self._stories.append(story)
        self._row[story.id] = row
        self._singles[story.id] = None
        self._tight.append(1.0)
        self._weight.append(0.0)
        self._count.append(0)
        self._active.append(0.0)
        self._word_square.append(UNKNOWN)
        self._touched.append(0)
        if self._shortlist.is_due(row + 1, self._clock):
            self._shortlist.turn(self._sum[: row + 1], self._slope[: row + 1], self._clock)
            self._last = _LOOKED_FOR_NOTHING
        return row

    def _arrays(self) -> tuple[Vector, ...]:
        return self._sum, self._raw, self._shortlist.lines, self._slope, self._offset

    def merge(self, src: Story, into: Story) -> None:
        """Let `into` have what `src` had; `into` already holds the words of both."""
        row = self._row.get(src.id)
        if row is None:
            return
        target = self._row.get(into.id)
        if target is None:
            self._row[into.id] = self._row.pop(src.id)
            self._singles.pop(src.id, None)
            self._stories[row] = into
            self._refresh(row)
            return
        self._sum[target] += self._sum[row]
        self._raw[target] += self._raw[row]
        self._weight[target] += self._weight[row]
        self._count[target] += self._count[row]
        self._active[target] += self._active[row]
        self._peak = max(self._peak, self._active[target])
        self._refresh(target)
        self.drop(src.id)

    def drop(self, story_id: str) -> None:
        """Forget a story; the last row takes its place."""
        row = self._row.pop(story_id, None)
        if row is None:
            return
        self._singles.pop(story_id, None)
        self._last = _LOOKED_FOR_NOTHING
        last = len(self._stories) - 1
        for rows in self._arrays():
            rows[row] = rows[last]
        for values in (self._tight, self._weight, self._active, self._word_square):
            values[row] = values[last]
            values.pop()
        for numbers in (self._count, self._touched):
            numbers[row] = numbers[last]
            numbers.pop()
        story = self._stories.pop()
        if row != last:
            self._stories[row] = story
            self._row[story.id] = row

    def withdraw(self, story: Story, raw: Vector, brands: tuple[str, ...], weight: float) -> None:
        """Take a mention's embedding out of its story's mean again."""
        row = self._row.get(story.id)
        if row is None:
            return
        if self._count[row] <= 1:
            self.drop(story.id)
            return
        self._sum[row] -= np.float32(weight) * self.direction(raw, brands)
        self._raw[row] -= np.float32(weight) * raw
        self._weight[row] = max(0.0, self._weight[row] - weight)
        self._count[row] -= 1
        self._refresh(row)

    def export(self, story_id: str) -> Mean | None:
        """Return a story's place, to be stored, or None if it has none."""
        row = self._row.get(story_id)
        if row is None or self._weight[row] <= 0:
            return None
        weight = self._weight[row]
        tight = float(np.sqrt(self._sum[row] @ self._sum[row])) / weight
        vector = (self._raw[row] / np.float32(weight)).astype("<f2").tobytes()
        return Mean(self.model, vector, weight, tight, self._count[row])

    def adopt(self, story: Story, mean: Mean | None, *, learn: bool = True) -> None:
        """Take a stored place in. One of another model is left out: that story is found by its words and threads."""
        if mean is None or not mean.vector or (self._width and mean.model != self.model):
            return
        if not self._width:
            self._begin(mean.model, len(mean.vector) // 2)
        raw = np.frombuffer(mean.vector, HALF).astype(np.float32)
        if len(raw) != self._width or not np.all(np.isfinite(raw)):
            return
        if learn:
            self._background.relearn(raw, mean.weight, max(1, mean.count), story.brands)
        row = self._row.get(story.id)
        row = self._open(story) if row is None else row
        named = tuple(sorted(story.brands, key=lambda brand: (-story.brands[brand], brand)))
        self._sum[row] = self.direction(raw, named) * np.float32(mean.tight * mean.weight)
        self._raw[row] = raw * np.float32(mean.weight)
        self._weight[row] = mean.weight
        self._count[row] = mean.count
        self._refresh(row)


UNKNOWN = -1.0
LEAST_WEIGHT = 1e-3
"""A story whose mentions were withdrawn is never known by less."""
FAINT = 0.1
"""Up to this part of the least share that counts, what is spoken of a story hardly changes its prior."""
DIRECT = 512
"""From so many stories on, twice as many as are wanted are picked by their short form and then compared in full."""
OFTEN = 12
"""Up to so many mentions a story is held against the others after each; later after every `SELDOM`-th."""
SELDOM = 4
