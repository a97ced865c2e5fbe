"""Rules, rota and brands as one: read together, and read again when a file changes, as a whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec import Struct

from monitor.brand.tree import BrandTree
from monitor.config.directory import RouteError, directory_of
from monitor.escalation.rulefile import RuleFileError, load_rules
from monitor.escalation.rules import RuleSet
from monitor.mention.yamlfile import FileError
from monitor.oncall.directory import Directory
from monitor.oncall.oncallfile import OnCallFileError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitor.config.settings import Settings

RELOAD_S = 2.0
"""Real seconds between two looks at the files."""

_log = structlog.get_logger("monitor.reload")

REFUSED = (FileError, RouteError, RuleFileError, OnCallFileError)
"""What a bad file raises; the text says where and what to do."""


class Escalation(Struct, frozen=True):
    """What decides who hears of what. `tree` is empty where every brand that a mention names is its own."""

    tree: BrandTree
    rules: RuleSet
    directory: Directory


def escalation_of(settings: Settings, *, now: float | None = None) -> Escalation:
    """Read brands, rules and the on-call file.

    Raises:
        FileError, RouteError, RuleFileError, OnCallFileError: one of them is refused, so all are.
    """
    tree = BrandTree.load(settings.brands) if settings.brands is not None else None
    routes = {route.name for route in settings.routes if route.name}
    rules = load_rules(settings.rules, tree, routes)
    return Escalation(tree or BrandTree([]), rules, directory_of(settings, tree, now=now))


class Reloader:
    """Looks whether a file has changed, and reads all of them again if one has.

    A change that is refused is said once, and what was there before goes on to count.
    """

    def __init__(self, settings: Settings, standing: Escalation) -> None:
        self._settings = settings
        self._calendars = standing.directory.oncall.calendars
        self._seen = self._digest()

    def look(self, *, now: float | None = None) -> Escalation | None:
        """Return what the files say if one has changed since the last look; None if none has.

        Raises:
            FileError, RouteError, RuleFileError, OnCallFileError: the change is refused.
        """
        found = self._digest()
        if found == self._seen:
            return None
        self._seen = found
        read = escalation_of(self._settings, now=now)
        self._calendars = read.directory.oncall.calendars
        self._seen = self._digest()
        return read

    def _digest(self) -> bytes:
        settings = self._settings
        digest = blake2b(digest_size=16)
        for path in (settings.brands, settings.rules, settings.oncall, *map(Path, self._calendars)):
            try:
                data = b"" if path is None else path.read_bytes()
            except OSError as error:
                data = f"missing: {error.errno}".encode()
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()


class ReloadMeter(Protocol):
    """Where reloads are counted."""

    def count(self, *, loaded: bool) -> None:
        """Count a change that was loaded or refused."""
        ...


async def follow(
    reloader: Reloader, stop: asyncio.Event, adopt: Callable[[Escalation], Awaitable[None]], meter: ReloadMeter
) -> None:
    """Take up rules, rota and brands when their files change, until `stop`; what is refused is said, and left.

    Args:
        reloader: looks at the files.
        stop: ends it.
        adopt: takes up what was read.
        meter: counts what was loaded and what was refused.
    """
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RELOAD_S)
        try:
            found = await asyncio.to_thread(reloader.look)
        except REFUSED as error:
            meter.count(loaded=False)
            _log.error("reload_refused", problem=str(error))
            continue
        if found is not None:
            await adopt(found)
            meter.count(loaded=True)
            _log.info("reloaded", rules=found.rules.version, brands=found.tree.version)
