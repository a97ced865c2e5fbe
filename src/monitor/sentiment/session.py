"""ONNX Runtime sessions over weights: the graph is made from them at the first start, and kept.

Two kinds are made: `int8`, where the CPU multiplies bytes in one instruction (VNNI) and the weights bring their ranges,
and `float32` everywhere else. A session works on the thread that calls it; who
has more cores calls it from more threads.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import onnxruntime as ort

from monitor.sentiment.errors import ModelError
from monitor.sentiment.weights import read_ranges, read_tensors

if TYPE_CHECKING:
    from monitor.sentiment.cpu import Kind
    from monitor.sentiment.weights import Card

REVISION: Final = 3
"""Raised whenever the graph changes, so that a kept one is made anew."""


def cache_folders() -> list[Path]:
    """Return where forms made from the weights may be kept, the best first.

    That is `MONITOR_CACHE` if set, else the user's cache; below the system's temporary folder where that fails.
    """
    named = os.environ.get("MONITOR_CACHE")
    if named:
        first = Path(named)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 -- never raises
        first = Path(home) / "mention-monitor"
    mine = f"mention-monitor-{os.getuid()}" if hasattr(os, "getuid") else "mention-monitor"
    return [first, Path(tempfile.gettempdir()) / mine]


def open_session(folder: Path, card: Card, kind: Kind) -> ort.InferenceSession:
    """Return a session over the graph of the weights in `folder`.

    Raises:
        ModelError: the weights are damaged, no folder can be written, or ONNX Runtime refuses the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    path = _kept(card, kind)
    if path is not None:
        try:
            return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 -- onnxruntime raises many kinds; a kept graph that is damaged is made anew
            path.unlink(missing_ok=True)
    path = _make(folder, card, kind)
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as refused:
        raise ModelError(
            f"ONNX Runtime {ort.__version__} cannot run {path} ({refused}); update onnxruntime."
        ) from refused


def _file_name(card: Card, kind: Kind) -> str:
    made_of = card.weights_sha256[:16] + (f"-{card.ranges_sha256[:8]}" if kind == "int8" else "")
    return f"{made_of}-{kind}-{REVISION}.onnx"


def _kept(card: Card, kind: Kind) -> Path | None:
    for folder in cache_folders():
        path = folder / _file_name(card, kind)
        if path.is_file() and _is_mine(path):
            return path
    return None


def _is_mine(path: Path) -> bool:
    """Return whether nobody else could have put the file there: the temporary folder is everybody's."""
    return not hasattr(os, "getuid") or path.stat().st_uid in {os.getuid(), 0}


def _make(folder: Path, card: Card, kind: Kind) -> Path:
    from monitor.sentiment.eight import Eight  # noqa: PLC0415 -- onnx is slow to import, and a second start needs none
    from monitor.sentiment.graph import Float, build  # noqa: PLC0415 -- the same

    products = Eight(read_ranges(folder, card)) if kind == "int8" else Float()
    content = build(read_tensors(folder, card), card.shape, products).SerializeToString()
    refused: list[str] = []
    for place in cache_folders():
        try:
            place.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=place, suffix=".new")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                path = place / _file_name(card, kind)
                os.replace(draft, path)  # noqa: PTH105 -- atomic: two workers may start at once
            except OSError:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as cannot:
            refused.append(f"{place} ({cannot.strerror})")
            continue
        return path
    raise ModelError(f"No folder for the model's working form can be written: {', '.join(refused)}; set MONITOR_CACHE.")
