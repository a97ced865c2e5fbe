"""A small chart of where a story stands and may end, as a PNG written by hand: no drawing library is needed.

One row: a bar to the people that speak of it now, a lighter one over the forecast's 80 % interval with its median, and
the viral line across, beyond the people that are usual. The scale is logarithmic, since stories differ by factors. PNG:
RFC 2083, 8-bit palette.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

WIDTH, HEIGHT = 480, 72
_MARGIN = 12
_PALETTE = ((255, 255, 255), (228, 231, 236), (37, 99, 165), (160, 190, 222), (16, 42, 70), (196, 43, 43))
_PAPER, _GRID, _NOW, _RANGE, _MEDIAN, _LINE = range(len(_PALETTE))
_BAR = (22, 50)
_HALF = 10


def picture(facts: dict[str, Any]) -> bytes | None:
    """Return the chart of a page's facts as a PNG, or None where there is no forecast to show."""
    forecast = facts.get("forecast")
    if not forecast or not forecast.get("q90"):
        return None
    voices = max(1.0, float(forecast.get("voices") or 1))
    low, median, high = (float(forecast.get(name) or voices) for name in ("q10", "q50", "q90"))
    line = forecast.get("line")
    if line:
        line = float(line) + float(forecast.get("usual") or 0.0)
    top = max(voices, high, float(line or 1.0), 10.0) * 1.15

    def x(value: float) -> int:
        return _MARGIN + round((WIDTH - 2 * _MARGIN) * math.log(max(value, 1.0)) / math.log(top))

    rows = [bytearray([_PAPER]) * WIDTH for _ in range(HEIGHT)]
    tick = 1
    while tick < top:
        _box(rows, x(tick), x(tick), 8, HEIGHT - 8, _GRID)
        tick *= 10
    _box(rows, x(low), x(high), _BAR[0], _BAR[1], _RANGE)
    _box(rows, _MARGIN, x(voices), _BAR[0] + 6, _BAR[1] - 6, _NOW)
    _box(rows, x(median) - 1, x(median) + 1, _BAR[0] - 4, _BAR[1] + 4, _MEDIAN)
    if line:
        for y in range(4, HEIGHT - 4, 6):
            _box(rows, x(float(line)) - 1, x(float(line)) + 1, y, y + 3, _LINE)
    return _png(rows)


def sketch(facts: dict[str, Any], width: int = 30) -> str:
    """Return the same as a line of text: # now, = the forecast's interval, | the viral line.

    >>> sketch({"forecast": {"voices": 40, "q10": 200, "q50": 600, "q90": 3000, "line": 400}})
    '##############      ==|========'
    """
    forecast = facts.get("forecast")
    if not forecast or not forecast.get("q90"):
        return ""
    voices = max(1.0, float(forecast.get("voices") or 1))
    low, high = (max(1.0, float(forecast.get(name) or voices)) for name in ("q10", "q90"))
    line = max(1.0, float(forecast.get("line") or high) + float(forecast.get("usual") or 0.0))
    top = max(voices, high, line, 10.0)

    def x(value: float) -> int:
        return round(width * math.log(max(value, 1.0)) / math.log(top))

    marks = [" "] * (width + 1)
    marks[x(low) : x(high) + 1] = "=" * (x(high) + 1 - x(low))
    marks[: x(voices)] = "#" * x(voices)
    if forecast.get("line"):
        marks[x(line)] = "|"
    return "".join(marks).rstrip()


def _box(rows: list[bytearray], left: int, right: int, top: int, bottom: int, colour: int) -> None:
    left, right = max(0, left), min(WIDTH - 1, right)
    if right >= left:
        for y in range(max(0, top), min(HEIGHT, bottom)):
            rows[y][left : right + 1] = bytes([colour]) * (right + 1 - left)


def _png(rows: list[bytearray]) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    palette = b"".join(bytes(colour) for colour in _PALETTE)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
