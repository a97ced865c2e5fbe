"""Mention Monitor: pages the right person before a public complaint goes viral."""

import os

# numpy's OpenBLAS waits for its next product in a busy loop, on every core but one: a fifth of what the scoring worker
# used. Its products here are too small to share, and the library reads this once, when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
