"""From the traces of mentions to those of the decisions that they lead to."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import structs

from monitor.engine.changes import Act, Merge
from monitor.engine.records import Marker, Tick, id_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.engine.changes import Changes
    from monitor.engine.records import ReadingBatch

MOST_STORIES = 10_000
_WAVE = ""


class Traces:
    """Which trace the newest traced mention of each story is of; a wave's is its umbrella's newest.

    It is kept in memory alone and for the `most` latest stories: after a restart a page may come without.
    """

    def __init__(self, most: int = MOST_STORIES) -> None:
        self._most = most
        self._newest: OrderedDict[tuple[str, str], str] = OrderedDict()

    def follow(self, batches: Sequence[ReadingBatch], changes: Changes) -> None:
        """Take in what these batches bring, and put each decision among the changes into its trace."""
        if any(batch.traces for batch in batches):
            self._take_in(batches, changes)
        if not self._newest:
            return
        for number, event in enumerate(changes.events):
            if isinstance(event, Merge):
                moved = self._newest.pop((event.umbrella, event.src), None)
                if moved is not None:
                    self._newest.setdefault((event.umbrella, event.into), moved)
            elif isinstance(event, Act):
                view = event.view
                trace = self._newest.get((view.umbrella, _WAVE if view.kind == "wave" else view.story))
                if trace is not None:
                    changes.events[number] = structs.replace(event, trace=trace)

    def _take_in(self, batches: Sequence[ReadingBatch], changes: Changes) -> None:
        stories: dict[bytes, list[tuple[str, str]]] = {}
        for (key, umbrella), row in changes.seen.items():
            if row.story is not None:
                stories.setdefault(key, []).append((umbrella, row.story))
        for batch in batches:
            for number, trace in (batch.traces or {}).items():
                item = batch.items[number]
                if isinstance(item, Marker | Tick):
                    continue
                changes.traces.append(trace)
                for umbrella, story in stories.get(id_key(item.source, item.id), ()):
                    for name in ((umbrella, story), (umbrella, _WAVE)):
                        self._newest[name] = trace
                        self._newest.move_to_end(name)
        while len(self._newest) > self._most:
            self._newest.popitem(last=False)
