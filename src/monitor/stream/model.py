"""The configured model, and the shadow beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.sentiment import load_scorer
from monitor.sentiment.shadow import ShadowedScorer

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.sentiment.scorer import Scorer
    from monitor.sentiment.shadow import Difference
    from monitor.telemetry.metrics import ScoreMetrics


def scorer_of(settings: Settings, metrics: ScoreMetrics | None = None) -> Scorer:
    """Return the configured model, ready to read, with its shadow beside it if one is configured.

    Raises:
        ModelError: one of the two cannot be loaded.
        FileError: the tree of causes is refused.
    """
    model = settings.model
    scorer = load_scorer(
        model.name,
        threads=model.threads,
        runtime=model.runtime,
        vectors=model.vectors,
        causes=model.causes,
        cache_bytes=int(model.cache_mb * (1 << 20)),
    )
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
