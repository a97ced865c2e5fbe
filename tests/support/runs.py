"""Runs of words that texts of the project share with recorded ones: rows of the data never enter it."""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

RUN = 6


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def runs(text: str) -> Iterator[str]:
    said = words(text)
    return (" ".join(said[at : at + RUN]) for at in range(len(said) - RUN + 1))


def taken(texts: Iterable[str], data: Path) -> set[str]:
    """Return those of `texts` that have six words in a row with a recorded one."""
    mine: dict[str, set[str]] = {}
    for text in texts:
        for run in runs(text):
            mine.setdefault(run, set()).add(text)
    found: set[str] = set()
    for path in sorted(data.glob("*/*.jsonl.gz")):
        if path.parent.name == "cascades":
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                for run in runs(line):
                    found |= mine.get(run, set())
    return found
