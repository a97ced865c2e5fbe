"""What the rule file and the on-call file have in common: zones, days, and telling all problems in one go."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.mention.yamlfile import FileError, Section

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Problems:
    """What is wrong with a file, collected, so that a person mends it in one go.

    `lines` are `file:line: what is wrong; what to do`, by line; false while there are none.
    """

    def __init__(self) -> None:
        self._found: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, in the order of the file."""
        return tuple(text for _, text in sorted(self._found))

    def attempt(self, work: Any) -> Any:
        """Return what `work` returns; None, and the problem is noted, where it refuses the file."""
        try:
            return work()
        except FileError as error:
            self.add(error)
            return None

    def note(self, section: Section, key: str | None, problem: str, mend: str) -> None:
        """Note a problem at a key, and go on."""
        self.add(section.error(key, problem, mend))

    def add(self, error: FileError) -> None:
        """Note a problem that was made already."""
        self._found.append((error.line, str(error)))


def zone_of(section: Section) -> str | None:
    """Read the time zone under `zone`; None where there is none.

    Raises:
        FileError: no time zone is called so.
    """
    zone = section.text("zone")
    if zone is None:
        return None
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise section.error("zone", f"no time zone is called {zone!r}", "write it as in Europe/Lisbon") from error
    return zone


def days_of(section: Section) -> frozenset[int]:
    """Read the days of the week under `days` (1 is Monday); all of them where there are none.

    Raises:
        FileError: something there is no day.
    """
    days: set[int] = set()
    for text, line in section.texts("days"):
        first, dash, last = text.lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise FileError(section.path, line, f"{text!r} is no day", "write mon, tue, ... or mon-fri")
        start, end = DAYS.index(first), DAYS.index(last) if dash else DAYS.index(first)
        days |= {day % 7 + 1 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(days) or frozenset(range(1, 8))
