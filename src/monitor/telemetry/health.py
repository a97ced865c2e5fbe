"""Is a worker alive, and is it ready: what an orchestrator asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(Struct, frozen=True):
    """An answer, and what it rests on: a line per stage or condition."""

    ok: bool
    details: dict[str, str]


class Health:
    """Every stage of a worker says when it has moved (`beat`); what it needs to be ready says so too (`ready`).

    Alive: each stage that is expected to move has done so within `stuck_after_s`. A stage that waits for what is
    outside (a broker that is away, an empty topic) beats while it waits, for starting the worker again would not
    help; a stage with nothing to do at all says `idle`. Ready: every condition holds.

    Times are a monotonic clock's. Call it from any thread.

    >>> now = 0.0
    >>> health = Health(stuck_after_s=60, clock=lambda: now)
    >>> health.beat("score")
    >>> now = 59.0
    >>> health.live().ok
    True
    >>> now = 61.0
    >>> health.live().details
    {'score': 'no progress for 61 s'}
    """

    def __init__(self, stuck_after_s: float = 120.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stuck_after_s = stuck_after_s
        self._clock = clock
        self._beats: dict[str, float] = {}
        self._conditions: dict[str, str] = {}

    def beat(self, stage: str) -> None:
        """Say that `stage` has moved; from then on it is expected to move again."""
        self._beats[stage] = self._clock()

    def idle(self, stage: str) -> None:
        """Say that `stage` has nothing to do, and is not expected to move until it beats again."""
        self._beats.pop(stage, None)

    def need(self, *conditions: str) -> None:
        """Name what the worker needs to be ready; none of it holds yet."""
        for condition in conditions:
            self._conditions.setdefault(condition, "not yet")

    def ready(self, condition: str, why_not: str | None = None) -> None:
        """Say that `condition` holds, or `why_not`."""
        self._conditions[condition] = why_not or ""

    def live(self) -> Verdict:
        """Judge whether every stage still moves."""
        now = self._clock()
        stuck = {stage: now - at for stage, at in self._beats.copy().items() if now - at > self._stuck_after_s}
        return Verdict(not stuck, {stage: f"no progress for {age:.0f} s" for stage, age in stuck.items()})

    def readiness(self) -> Verdict:
        """Judge whether every condition holds."""
        missing = {name: why for name, why in self._conditions.copy().items() if why}
        return Verdict(not missing, missing)

    def ages(self) -> dict[str, float]:
        """Return the seconds since each stage moved, for a gauge."""
        now = self._clock()
        return {stage: now - at for stage, at in self._beats.copy().items()}
