"""Programs that tests need and that may not be here."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

CHECKS = "run `make checks`"
"""How to get those that stand in an environment of their own."""

_FOLDERS = (
    Path(sys.executable).parent,
    Path(os.environ.get("MONITOR_CHECKS") or Path(__file__).resolve().parents[2] / ".venv-checks") / "bin",
)


def program(name: str, how: str) -> str:
    """Return where a program is: beside this Python, in the checks' environment, on the path; else skip and say how."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here ({how})")
    return found
