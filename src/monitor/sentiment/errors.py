"""What can go wrong with a model, as one typed error that says what to do."""

from __future__ import annotations


class ModelError(Exception):
    """The model cannot be loaded or run. The message names the file and the mend."""
