"""Which of many stories may be the likeliest, by a few numbers of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

SHORT = 64
"""The likeliest of some 3,000 stories is among 48 for .98 to 1.0 of the airlines' mentions, and so are .87 to .94 of
the 24 likeliest; by 96 numbers of a random projection (Johnson and Lindenstrauss 1984) .85 to .95 and .52 to .63."""
PART = 64
"""So many stories are worked on at once: all of them would take 8 MB."""
OUTDATED = 20_000
LATELY = 0.1
MARGIN = 3.0


class Shortlist:
    """Holds each story's sum by the directions in which the stories differ most.

    These are their principal components (Pearson, "On lines and planes of closest fit", 1901). What those leave out is
    made up for on the mean, so that inner products are as large as in full. The components are found when there are
    twice as many stories as last time, and after `OUTDATED` changes: 20 ms.
    """

    def __init__(self, width: int, size: int, least: int) -> None:
        self.lines: Vector = np.zeros((size, min(SHORT, width)), np.float32)
        """A row a story, shortened; rows are moved and added from outside."""
        self._components: Vector | None = None
        self._least, self._next, self._last = least, least, 0
        self._enough, self._unlike = -1.0, 0.0

    def shorten(self, vector: Vector) -> Vector | None:
        """Return a vector by the components, or None while there are none."""
        return None if self._components is None else vector.dot(self._components)

    def pick(self, short: Vector, slopes: Vector, offsets: Vector, k: int) -> NDArray[np.intp]:
        """Return the rows of the `k` largest of `slopes * (lines . short) + offsets`, in order of row.

        What lies further below the least of those picked of late than that goes up and down is not sorted.
        """
        rough = self.lines[: len(offsets)].dot(short)
        rough *= slopes
        rough += offsets
        rows = (rough > self._enough - MARGIN * self._unlike).nonzero()[0]
        if len(rows) < k:
            rows = np.arange(len(rough))
        near = rough.take(rows)
        picked = near.argsort()[len(rows) - k :]  # of so few, quicker than picking without an order
        further = float(near[picked[0]]) - self._enough
        self._enough += LATELY * further
        self._unlike += LATELY * (abs(further) - self._unlike)
        best: NDArray[np.intp] = rows.take(picked)
        best.sort()
        return best

    def is_due(self, stories: int, changes: int) -> bool:
        """Whether the components should be found, `changes` counted from the beginning."""
        return stories > self._next or (stories > self._least and changes > self._last + OUTDATED)

    def turn(self, sums: Vector, slopes: Vector, changes: int) -> None:
        """Find the components of the stories' lines, `slopes` times `sums`, and shorten all of them anew."""
        stories, width = sums.shape
        parts = [slice(row, min(stories, row + PART)) for row in range(0, stories, PART)]
        moments = np.zeros((width, width), np.float32)
        for part in parts:
            lines = sums[part] * slopes[part, None]
            moments += lines.T.dot(lines)
        energies, axes = np.linalg.eigh(moments)
        left_out = energies.sum() / energies[-SHORT:].sum()
        self._components = (axes[:, -SHORT:] * np.sqrt(left_out)).astype(np.float32)
        for part in parts:
            self.lines[part] = sums[part].dot(self._components)
        self._next, self._last = 2 * stories, changes
