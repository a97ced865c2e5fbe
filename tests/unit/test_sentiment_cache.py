from collections.abc import Sequence

from monitor.sentiment import CachedScorer, Reading, StubScorer


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
