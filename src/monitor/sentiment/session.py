"""ONNX Runtime sessions over weights: the graph is made from them at the first start, and kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import onnxruntime as ort

from monitor.sentiment.errors import ModelError
from monitor.sentiment.weights import read_tensors

if TYPE_CHECKING:
    from monitor.sentiment.weights import Card

REVISION: Final = 1
"""Raised whenever the graph changes, so that a kept one is made anew."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def open_session(folder: Path, card: Card, threads: int) -> ort.InferenceSession:
    """Return a session over the graph of the weights in `folder`.

    Raises:
        ModelError: the weights are damaged, no folder can be written, or ONNX Runtime refuses the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are shared with others
    path = _kept(card)
    if path is not None:
        try:
            return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 -- onnxruntime raises many kinds; a kept graph that is damaged is made anew
            path.unlink(missing_ok=True)
    path = _make(folder, card)
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as refused:
        raise ModelError(
            f"ONNX Runtime {ort.__version__} cannot run {path} ({refused}); update onnxruntime."
        ) from refused


def _file_name(card: Card) -> str:
    return f"{card.weights_sha256[:16]}-{REVISION}.onnx"


def _kept(card: Card) -> Path | None:
    for folder in cache_folders():
        path = folder / _file_name(card)
        if path.is_file() and _is_mine(path):
            return path
    return None


def _is_mine(path: Path) -> bool:
    """Return whether nobody else could have put the file there: the temporary folder is everybody's."""
    return not hasattr(os, "getuid") or path.stat().st_uid in {os.getuid(), 0}


def _make(folder: Path, card: Card) -> Path:
    from monitor.sentiment.graph import build  # noqa: PLC0415 -- onnx is slow to import, and a second start needs none

    content = build(read_tensors(folder, card), card.shape).SerializeToString()
    refused: list[str] = []
    for place in cache_folders():
        try:
            place.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=place, suffix=".new")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                path = place / _file_name(card)
                os.replace(draft, path)  # noqa: PTH105 -- atomic: two workers may start at once
            except OSError:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as cannot:
            refused.append(f"{place} ({cannot.strerror})")
            continue
        return path
    raise ModelError(f"No folder for the model's working form can be written: {', '.join(refused)}; set MONITOR_CACHE.")
