"""Reading mentions: sentiment, complaint, cause and embedding of a text, by the packaged model or any other.

`load_scorer` gives a `Scorer`; `CachedScorer` remembers what was read; `StubScorer` is a word list for tests.
"""

from monitor.sentiment.cache import CachedScorer
from monitor.sentiment.errors import ModelError
from monitor.sentiment.reading import Cause, Origin, Reading, ReadMention, Sentiment
from monitor.sentiment.scorer import Scorer, load_scorer
from monitor.sentiment.stub import StubScorer

__all__ = [
    "CachedScorer",
    "Cause",
    "ModelError",
    "Origin",
    "ReadMention",
    "Reading",
    "Scorer",
    "Sentiment",
    "StubScorer",
    "load_scorer",
]
