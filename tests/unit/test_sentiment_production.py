import threading
from pathlib import Path

import pytest

from monitor.config import Settings
from monitor.config.settings import ModelSettings
from monitor.sentiment import CachedScorer, ModelError, Reading, Sentiment, StubScorer, load_scorer
from monitor.sentiment.drift import Drift
from monitor.sentiment.polyglot import PolyglotScorer
from monitor.sentiment.shadow import Difference, ShadowedScorer, compare
from monitor.stream.model import scorer_of
from monitor.telemetry.metrics import Metrics

SHIPPED = Path(__file__).parents[2] / "src/monitor/sentiment"


class Other:
    """A model that reads every text as praise; it waits where it is told to."""

    name = "other"
    runtime = "test"

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.texts: list[str] = []

    def read(self, texts, langs=None):
        del langs
        assert self.go.wait(5)
        self.texts += texts
        if "boom" in texts:
            raise RuntimeError("boom")
        return [Reading(model=self.name, sentiment=Sentiment(0.1, 0.1, 0.8), complaint=0.1) for _ in texts]


def test_a_shadow_reads_along_and_changes_nothing() -> None:
    told: list[Difference] = []
    texts = ["rude, the worst, still waiting for a refund", "lovely, thanks", ""]
    both = ShadowedScorer(StubScorer(), Other(), told.append)
    assert both.read(texts) == StubScorer().read(texts)
    both.wait()
    assert (both.name, both.runtime) == ("stub-1", "words")
    assert told == [both.total]
    assert (both.total.texts, both.total.label, both.total.complaint, both.total.unread) == (3, 1, 1, 1)


def test_a_busy_shadow_is_passed_by() -> None:
    other = Other()
    other.go.clear()
    both = ShadowedScorer(StubScorer(), other)
    for n in range(5):
        assert len(both.read([f"text {n}"])) == 1
    other.go.set()
    both.wait()
    assert other.texts == ["text 0"]
    assert both.passed_by == 4


def test_a_shadow_takes_a_sample_of_a_long_call() -> None:
    other = Other()
    both = ShadowedScorer(StubScorer(), other)
    both.read([f"text {n}" for n in range(1000)], ["en"] * 1000)
    both.wait()
    assert 16 < len(other.texts) <= 32
    assert both.passed_by == 1000 - len(other.texts)


def test_a_shadow_that_breaks_stops_alone() -> None:
    both = ShadowedScorer(StubScorer(), Other())
    assert both.read(["boom"])[0].sentiment is not None
    both.wait()
    assert both.read(["lovely"])[0].sentiment.label == "positive"
    assert both.total.texts == 0


def test_compare_sees_causes_and_who_reads() -> None:
    rude = StubScorer().read(["rude"])[0]
    unread = Reading(model="x", unread="language")
    assert compare(rude, unread).unread == 1
    assert compare(unread, unread).unread == 0


def test_settings_name_model_causes_and_shadow(tmp_path: Path) -> None:
    causes = tmp_path / "mine.yaml"
    causes.write_text(
        "version: 1\ncauses:\n  - id: cold_soup\n    examples: [the soup was cold]\n"
        "  - id: no_towels\n    examples: [there were no towels]\n"
    )
    model = ModelSettings(threads=1, causes=str(causes), shadow=SHIPPED / "weights", runtime="float32")
    metrics = Metrics(process=False).score
    scorer = scorer_of(Settings(model=model), metrics)
    assert isinstance(scorer, ShadowedScorer)
    assert isinstance(scorer.inner, CachedScorer)
    (reading,) = scorer.read(["they served us cold soup, disgusting"])
    assert reading.cause.id == "cold_soup"
    scorer.wait()
    assert metrics.shadow.labels(scorer.name)._value.get() == 1
    assert metrics.shadow_differs.labels(scorer.name, "label")._value.get() == 0


def test_going_back_is_a_setting() -> None:
    now = scorer_of(Settings(model=ModelSettings(threads=1, runtime="float32")))
    back = scorer_of(Settings(model=ModelSettings(threads=1, runtime="float32", path=SHIPPED / "weights")))
    assert now.read(["late again"]) == back.read(["late again"])


def test_a_shadow_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        scorer_of(Settings(model=ModelSettings(stub=True, shadow=tmp_path)))


def test_other_languages_go_to_their_own_model() -> None:
    texts = [
        "el vuelo salió muy tarde y nadie nos ayuda",
        "late again",
        "الرحلة متأخرة جدا اليوم",
        "der Flug war zu spät heute",
    ]
    main = load_scorer(threads=1, runtime="float32", vectors=True)
    spanish, arabic = Other(), Other()
    both = PolyglotScorer(main, {"es": spanish, "ar": arabic})
    found, before = both.read(texts), main.read(texts)
    assert [one.model for one in found] == ["other", main.name, "other", main.name]
    assert [one.lang for one in found[:3]] == ["es", "en", "ar"]
    assert [one.vector for one in found] == [one.vector for one in before]
    assert (spanish.texts, arabic.texts) == ([texts[0]], [texts[2]])
    assert found[3].unread == "language"


def test_drift_follows_what_comes() -> None:
    drift = Drift(window=50)
    assert drift.unread is None
    assert drift.shares == {}
    drift.see(StubScorer().read(["lovely"] * 100))
    assert drift.shares["positive"] == 1
    for _ in range(20):
        drift.see(StubScorer().read(["the worst, rude", ""] * 10))
    assert drift.shares["negative"] > 0.97
    assert abs(drift.unread - 0.5) < 0.02
    assert 0.5 < drift.confidence <= 1
