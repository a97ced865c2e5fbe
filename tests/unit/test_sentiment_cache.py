import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from monitor.sentiment import CachedScorer, ModelError, Reading, StubScorer


class Counting:
    name = "counting"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        self.seen += texts
        return [Reading(model=f"{text}|{lang}") for text, lang in zip(texts, langs or [], strict=True)]


def test_equal_texts_are_read_once_and_answers_keep_their_order() -> None:
    inner = Counting()
    cached = CachedScorer(inner, 1 << 20)
    out = cached.read(["b", "a", "b", " a"])
    assert [r.model for r in out] == ["b|None", "a|None", "b|None", "a|None"]
    assert cached.read(["a"]) == [out[1]]
    assert inner.seen == ["b", "a"]
    assert (cached.hits, cached.misses) == (3, 2)


def test_language_is_part_of_the_key() -> None:
    cached = CachedScorer(Counting(), 1 << 20)
    assert [r.model for r in cached.read(["a", "a"], ["en", "de"])] == ["a|en", "a|de"]


def test_a_scorer_that_cleans_is_asked_to_clean_once_and_decides_what_is_equal() -> None:
    class Cleaning(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.cleaned: list[str] = []

        def clean(self, text: str) -> str:
            self.cleaned.append(text)
            return text.lower()

        def read(
            self,
            texts: Sequence[str],
            langs: Sequence[str | None] | None = None,
            cleaned: Sequence[str] | None = None,
        ) -> list[Reading]:
            assert cleaned == [text.lower() for text in texts]
            return super().read(texts, langs)

    inner = Cleaning()
    cached = CachedScorer(inner, 1 << 20)
    assert [r.model for r in cached.read(["B", "A", "b"])] == ["B|None", "A|None", "B|None"]
    assert inner.cleaned == ["B", "A", "b"]
    assert inner.seen == ["B", "A"]


def test_memory_is_bounded_and_the_oldest_use_goes_first() -> None:
    inner = Counting()
    cached = CachedScorer(inner, 3 * 640)
    cached.read(["a", "b", "c"])
    cached.read(["a"])
    cached.read(["d"])
    assert len(cached) == 3
    assert cached.size <= 3 * 640
    inner.seen.clear()
    cached.read(["a", "c", "d", "b"])
    assert inner.seen == ["b"]


def test_without_memory_equal_texts_of_one_call_are_still_read_once() -> None:
    inner = Counting()
    cached = CachedScorer(inner, 0)
    cached.read(["a", "a"])
    cached.read(["a"])
    assert inner.seen == ["a", "a"]
    assert len(cached) == 0


class Slow(Counting):
    """Waits at the text "slow" until it may go on; fails if told to."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.entered, self.go_on, self.fails = threading.Event(), threading.Event(), fails

    def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
        if "slow" in texts:
            self.entered.set()
            assert self.go_on.wait(10)
            if self.fails:
                raise OSError("the model is gone")
        return super().read(texts, langs)


def test_what_one_call_reads_another_waits_for() -> None:
    inner = Slow()
    cached = CachedScorer(inner, 1 << 20)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cached.read, ["slow", "a"])
        assert inner.entered.wait(10)
        second = pool.submit(cached.read, ["b", "slow", "a"])
        third = cached.read(["c"])
        assert not second.done()
        inner.go_on.set()
        assert [r.model for r in first.result(10)] == ["slow|None", "a|None"]
        assert [r.model for r in second.result(10)] == ["b|None", "slow|None", "a|None"]
    assert [r.model for r in third] == ["c|None"]
    assert sorted(inner.seen) == ["a", "b", "c", "slow"]
    assert (cached.hits, cached.misses) == (2, 4)


def test_a_read_that_fails_fails_for_those_that_wait_too_and_is_not_remembered() -> None:
    inner = Slow(fails=True)
    cached = CachedScorer(inner, 1 << 20)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cached.read, ["slow"])
        assert inner.entered.wait(10)
        second = pool.submit(cached.read, ["slow", "b"])
        inner.go_on.set()
        for call in (first, second):
            with pytest.raises(OSError, match="gone"):
                call.result(10)
    inner.fails = False
    assert [r.model for r in cached.read(["slow"])] == ["slow|None"]


@pytest.mark.parametrize("given", [0, 1, 3])
def test_another_number_of_readings_than_of_texts_fails_for_those_that_wait_too(given: int) -> None:
    class Miscounting(Slow):
        def read(self, texts: Sequence[str], langs: Sequence[str | None] | None = None) -> list[Reading]:
            return (super().read(texts, langs) * 2)[:given] if "slow" in texts else super().read(texts, langs)

    inner = Miscounting()
    cached = CachedScorer(inner, 1 << 20)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cached.read, ["slow", "a"])
        assert inner.entered.wait(10)
        second = pool.submit(cached.read, ["a", "slow"])
        inner.go_on.set()
        for call in (first, second):
            with pytest.raises(ModelError, match=f"counting gave {given} readings of 2 texts"):
                call.result(10)
    assert [r.model for r in cached.read(["a"])] == ["a|None"]


def test_lone_surrogates_are_no_trouble() -> None:
    cached = CachedScorer(StubScorer(vectors=True), 1 << 20)
    assert len(cached.read(["bad \ud800 text", "\ud800"])) == 2


def test_the_stub_is_the_same_alone_and_in_a_batch() -> None:
    stub = StubScorer(vectors=True)
    texts = ["worst flight, still waiting for a refund", "thanks, lovely crew", "the train is at five", ""]
    assert stub.read(texts) == [stub.read([text])[0] for text in texts]
    angry, happy, plain, empty = stub.read(texts)
    assert angry.complaint > plain.complaint > happy.complaint
    assert empty.unread == "empty"
    assert all(len(r.vector) == 768 for r in (angry, happy, plain, empty))
