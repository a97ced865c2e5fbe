"""The configured model, and the shadow beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.sentiment import load_scorer
from monitor.sentiment.polyglot import PolyglotScorer
from monitor.sentiment.shadow import ShadowedScorer

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.sentiment.scorer import Scorer
    from monitor.sentiment.shadow import Difference
    from monitor.telemetry.metrics import ScoreMetrics


def scorer_of(settings: Settings, metrics: ScoreMetrics | None = None) -> Scorer:
    """Return the configured model, ready to read, with models of other languages and a shadow where configured.

    Raises:
        ModelError: one of them cannot be loaded.
        FileError: the tree of causes is refused.
    """
    model = settings.model
    scorer: Scorer = load_scorer(
        model.name,
        threads=model.threads,
        runtime=model.runtime,
        vectors=model.vectors,
        causes=model.causes,
        cache_bytes=int(model.cache_mb * (1 << 20)),
    )
    if model.languages:
        others = {lang: load_scorer(name, threads=model.threads) for lang, name in model.languages.items()}
        scorer = PolyglotScorer(scorer, others)
    if model.shadow is None:
        return scorer
    shadow = load_scorer(model.shadow, threads=1, runtime=model.runtime, causes=model.causes, cache_bytes=0)

    def tell(found: Difference) -> None:
        if metrics is not None:
            metrics.shadow.labels(shadow.name).inc(found.texts)
            metrics.shadow_gap.labels(shadow.name).inc(found.gap)
            for what in ("label", "complaint", "cause", "unread"):
                metrics.shadow_differs.labels(shadow.name, what).inc(getattr(found, what))

    return ShadowedScorer(scorer, shadow, tell)
