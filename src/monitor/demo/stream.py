"""What the demo replays: a simulated week, or anyone's own JSON lines."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.engine.records import id_key
from monitor.mention import Dead, Mapping, decode, encode
from monitor.mention.mapping import packaged_mappings
from monitor.simulate import Settings as SimulationSettings
from monitor.simulate import Simulation
from monitor.source.replay import LineError, read_file
from monitor.stream.replay import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.simulate import StoryTruth

CHATTER = 800.0
"""Mentions of ordinary chatter a day: a week of them is read within two minutes on two slow cores."""


class SimulatedWeek:
    """A simulated week, and what really happened in it."""

    def __init__(self, seed: int) -> None:
        self._simulation = Simulation(SimulationSettings(rate=CHATTER), seed=seed)
        self._ids: dict[bytes, str] = {}

    def stream(self) -> Iterator[Outgoing]:
        """Yield its mentions."""
        for mention in self._simulation.mentions():
            self._ids[id_key(mention.source, mention.id)] = mention.id
            observed = mention.observed_at or mention.published_at
            yield Outgoing(encode(mention), mention.id, observed.timestamp())

    def stories(self) -> dict[bytes, StoryTruth]:
        """Return to which story each mention of the stream belongs; one of no story is not in it."""
        truth = self._simulation.truth()
        by_id = {mention: story for story in truth.stories for mention in story.ids}
        return {key: by_id[mention] for key, mention in self._ids.items() if mention in by_id}


def mapping_for(path: Path, named: str | None) -> tuple[Mapping | None, str]:
    """Return the mapping for a file, and what to say of it: the named one, none for mentions, or a packaged one.

    Raises:
        FileError: the named mapping cannot be read.
    """
    if named:
        return Mapping.named(named), f"mapped by {named}"
    first = next((thing for thing in read_file(path) if not isinstance(thing, LineError)), None)
    if first is None or not isinstance(decode(json.dumps(first).encode(), record_time=time.time()), Dead):
        return None, ""
    for name in packaged_mappings():
        mapping = Mapping.named(name)
        if not isinstance(decode(json.dumps(mapping.apply(first)).encode(), record_time=time.time()), Dead):
            return mapping, f"mapped by the packaged mapping {name!r}, which fits its first line"
    return None, "its first line is no mention, and no packaged mapping fits: give one with MAP"


def from_file(path: Path, rules: Mapping | None) -> Iterator[Outgoing]:
    """Yield a file's lines as mentions, in the file's order.

    A line that is no JSON object is published as it is, for the pipeline to dead-letter and count. A mention without
    `observed_at` is taken as observed when it was published, or when its predecessor was if that was later: the file's
    order is the order of arrival.
    """
    latest: datetime | None = None
    for thing in read_file(path, rules):
        if isinstance(thing, LineError):
            yield Outgoing(thing.raw, str(thing.line), None)
            continue
        published = _instant(thing.get("published_at"))
        if published is not None:
            latest = published if latest is None else max(latest, published)
            if thing.get("observed_at") is None:
                thing["observed_at"] = latest.isoformat()
        at = _instant(thing.get("observed_at"))
        yield Outgoing(json.dumps(thing).encode(), str(thing.get("id", "")), at.timestamp() if at else None)


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        instant = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
