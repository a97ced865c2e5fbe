"""The first start on a topic that holds a past: it fills the baselines, and nobody is paged about it."""

from monitor.brand import BrandTree
from monitor.engine import EngineSettings, PartitionEngine, decode_batch, encode_batch
from monitor.engine.changes import Act
from monitor.engine.records import Tick, encode_item
from monitor.escalation.rules import default_rules
from monitor.mention import Author
from monitor.sentiment import Origin, Reading, ReadMention, Sentiment

NOW = 1_780_000_000.0
ANGRY = Reading("test", Sentiment(0.95, 0.04, 0.01), 0.95)


def mention(number, at):
    return ReadMention(
        umbrella="acme",
        brands=("acme",),
        id=f"m{number}",
        source="twitter",
        kind="repost" if number else "post",
        published_at=at,
        observed_at=at,
        text="@acme broke my grandmother's wheelchair and nobody answers the phone",
        origin=Origin(0, number, at),
        reading=ANGRY,
        author=Author(handle=f"person{number}", followers=400),
        repost_of="m0" if number else None,
    )


def storm(start, *, voices=120):
    items = []
    for number in range(voices):
        at = start + number * 5.0
        items += [mention(number, at), Tick(0, at)]
    return items


def run(filling, wall):
    engine = PartitionEngine(0, EngineSettings(readings_partitions=1), BrandTree.from_names(["Acme"]), default_rules())
    engine.restore(PartitionEngine.first_marks(filling=filling), (), ())
    began = NOW - 700.0
    items = [*storm(began), Tick(0, NOW - 1.0), Tick(0, NOW)]
    batch = decode_batch(encode_batch("t", 1, [encode_item(item) for item in items]))
    changes = engine.apply([batch], {}, set(), wall)
    return engine, [event for event in changes.events if isinstance(event, Act)]


def test_a_past_that_fills_baselines_pages_nobody():
    engine, acts = run(filling=True, wall=NOW)
    assert acts == []
    assert engine.live_stories == 1
    assert not engine.marks.filling


def test_the_same_past_without_filling_is_told_as_a_backlog():
    _, acts = run(filling=False, wall=NOW)
    assert [(act.decision.action, act.backlog_since is not None) for act in acts][:1] == [("open", True)]
