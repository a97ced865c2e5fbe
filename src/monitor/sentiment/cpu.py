"""What the CPU can do, and how weights are best run on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from monitor.sentiment.errors import ModelError
from monitor.sentiment.weights import RANGES

if TYPE_CHECKING:
    from monitor.sentiment.weights import Card

Kind = Literal["int8", "float32"]
Wanted = Literal["auto", "int8", "float32"]
BYTES: Final = frozenset({"avx512_vnni", "avx_vnni"})
"""The CPU's features, as Linux names them, with any of which eight bits are faster; without, they would also be wrong:
the older instruction cuts sums of two products at 16 bits."""

BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""The features with any of which products in bfloat16 are faster than in float32; without, five times slower."""


def has_bfloat16(features: frozenset[str]) -> bool:
    """Return whether the CPU multiplies bfloat16 itself, so that training in it pays.

    >>> has_bfloat16(frozenset({"avx512_vnni"}))
    False
    """
    return bool(features & BFLOAT16)


def cores(quota: str | None = None) -> int:
    """Return how many cores this process may use: a container's limit counts, rounded up.

    Args:
        quota: the text of the control group's `cpu.max`; None: the file's.

    >>> cores("50000 100000")
    1
    """
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if quota is None:
        try:
            quota = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return mine
    allowed, _, period = quota.strip().partition(" ")
    if not (allowed.isdecimal() and period.isdecimal() and int(period)):
        return mine  # `max`: no limit
    return max(1, min(mine, -(-int(allowed) // int(period))))


def cpu_features(table: str | None = None) -> frozenset[str]:
    r"""Return what the CPU can do, as Linux names it; nothing where that is not told.

    Args:
        table: the text of `/proc/cpuinfo`; None: the file's.

    >>> sorted(cpu_features("processor : 0\nflags : fpu avx512_vnni\n"))
    ['avx512_vnni', 'fpu']
    """
    if table is None:
        try:
            table = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return frozenset()
    for line in table.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def choose(wanted: Wanted, card: Card, features: frozenset[str]) -> Kind:
    """Return which kind of session to open.

    Raises:
        ModelError: `int8` is wanted of weights without ranges.

    >>> from monitor.sentiment.weights import PACKAGED, read_card
    >>> choose("auto", read_card(PACKAGED), frozenset({"avx2"}))
    'float32'
    """
    if wanted == "int8" and not card.ranges_sha256:
        raise ModelError(
            f"These weights bring no {RANGES}, so they cannot be run in int8: choose float32, or make them again."
        )
    if wanted != "auto":
        return wanted
    return "int8" if card.ranges_sha256 and features & BYTES else "float32"
