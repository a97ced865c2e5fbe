"""What the doctests under src cannot import is left out: training needs the extra `train`."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["src/monitor/sentiment/training/*.py"]
