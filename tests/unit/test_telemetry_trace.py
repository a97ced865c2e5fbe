"""A mention's trace context: taken from its headers, carried where there is one, and gone where there is none."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import msgspec
import pytest

from monitor.brand.match import Hit
from monitor.config import Settings
from monitor.engine.batching import Batcher, Read
from monitor.engine.changes import Act, Changes, Merge, SeenRow
from monitor.engine.records import decode_batch, id_key
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.mention import Mention
from monitor.page.worker import PageMeter
from monitor.sentiment.reading import Origin
from monitor.stream.traces import Traces
from monitor.telemetry.metrics import Metrics
from monitor.telemetry.spans import OpenTelemetrySpans, Spans, spans_of
from monitor.telemetry.trace import traceparent_of
from tests.support.receivers import answering

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = f"00-{'b' * 32}-00f067aa0ba902b7-00"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (PARENT.encode(), PARENT),
        (b"cc" + PARENT[2:].encode() + b"-what-comes-later", PARENT),
        (PARENT.encode() + b"-more", None),  # version 00 has four parts
        (b"ff" + PARENT[2:].encode(), None),
        (PARENT.upper().encode(), None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01".encode(), None),
        (f"00-{TRACE}-{'0' * 16}-01".encode(), None),
        (PARENT[:-1].encode(), None),
        (PARENT.encode() + b"\r\nX-Evil: 1", None),
        (b"\xff\xfe", None),
        (b"", None),
        (None, None),
    ],
)
def test_only_what_is_a_trace_context_is_taken(value, found):
    assert traceparent_of([("ce_id", b"1"), ("traceparent", value)]) == found


def test_without_the_header_there_is_none():
    assert traceparent_of([("ce_id", b"1")]) is None


def _mention(number: int) -> Mention:
    return msgspec.convert(
        {"id": str(number), "source": "twitter", "text": "Aurora", "published_at": "2030-01-01T00:00:00Z"}, Mention
    )


def _record(*traces: str | None) -> bytes:
    batcher = Batcher("topic", 1, 1)
    for number, trace in enumerate(traces):
        batcher.tick(0, 100.0 * number)
        origin = Origin(0, number, 1.0)
        hits = () if number == 0 else (Hit("aurora", ("aurora",)),)
        batcher.add(Read(_mention(number), hits, False, None, origin, trace))  # noqa: FBT003 -- own
    ((_, (value,)),) = batcher.flush()
    return value


def test_a_record_carries_traces_by_place_and_not_a_byte_where_there_are_none():
    plain = msgspec.msgpack.decode(_record(None, None, None))
    assert len(plain) == 4
    batch = decode_batch(_record(None, PARENT, OTHER))
    assert batch.traces is not None
    named = {batch.items[place].id: trace for place, trace in batch.traces.items()}
    assert named == {"1": PARENT, "2": OTHER}
    # A worker of the version before reads on.
    old = msgspec.defstruct("Old", [("format", int), ("topic_id", str)], array_like=True)
    assert msgspec.msgpack.decode(_record(PARENT), type=old).topic_id == "topic"


def _act(story: str, kind: str = "story") -> Act:
    view = example_view(umbrella="aurora", story=story, kind=kind)
    return Act(1.0, view, Decision("open", "page", "going-viral", "it spreads"))


def _changes(*events, **stories: str) -> Changes:
    changes = Changes(0, events=list(events))
    for number, story in stories.items():
        key = id_key("twitter", number.removeprefix("m"))
        changes.seen[key, "aurora"] = SeenRow(key, "aurora", "stored", 1.0, story)
    return changes


def test_a_decision_is_in_the_trace_of_its_own_story_also_batches_later():
    traces = Traces()
    first = _changes(_act("s2"), m1="s1", m2="s2")
    traces.follow([decode_batch(_record(None, PARENT, OTHER))], first)
    assert [event.trace for event in first.events] == [OTHER]
    assert first.traces == [PARENT, OTHER]
    later = _changes(_act("s1"), _act("s3"), _act("w1", "wave"))
    traces.follow([decode_batch(_record(None))], later)
    assert [event.trace for event in later.events] == [PARENT, None, OTHER], "the wave's is its umbrella's newest"
    merged = _changes(Merge(2.0, "aurora", "s1", "s9"), _act("s9"), _act("s1"))
    traces.follow([], merged)
    assert [event.trace for event in merged.events if isinstance(event, Act)] == [PARENT, None]


def test_only_so_many_stories_are_remembered():
    traces = Traces(most=2)
    for number in range(5):
        batch = msgspec.structs.replace(decode_batch(_record(None, PARENT)), traces={3: PARENT})
        traces.follow([batch], _changes(m1=f"s{number}"))
    late = _changes(_act("s4"), _act("s3"))
    traces.follow([], late)
    assert [event.trace for event in late.events] == [PARENT, None]


def test_nothing_is_imported_unless_spans_are_wished():
    code = (
        "import sys, monitor.page.worker, monitor.stream.score_worker, monitor.stream.watch_worker;"
        "import monitor.telemetry.spans as s;"
        "from monitor.config import Settings;"
        "s.spans_of(Settings().tracing, 'score').tell('score', 0.1, links=['x'], mentions=1);"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
    assert type(spans_of(Settings().tracing, "score")) is Spans


def test_spans_without_opentelemetry_are_refused_with_the_mend(monkeypatch):
    monkeypatch.setattr("monitor.config.settings.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'mention-monitor\[otel\]'"):
        Settings.model_validate({"tracing": {"spans": True}})


@pytest.fixture
def told():
    """Spans, and what became of them."""
    pytest.importorskip("opentelemetry.sdk", reason="not installed: pip install 'mention-monitor[otel]'")
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- an extra
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415 -- an extra
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415 -- an extra

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return OpenTelemetrySpans("score", provider=provider), kept.get_finished_spans


def test_a_round_links_to_the_traces_in_it_and_a_delivery_is_in_its_own(told):
    spans, finished = told
    spans.tell("score", 0.25, links=[PARENT, OTHER, PARENT], mentions=3)
    PageMeter(Metrics().pages, spans=spans).on_delivery("desk", "accepted", 0.1, PARENT)
    spans.close()
    score, deliver = finished()
    assert [f"{link.context.trace_id:032x}" for link in score.links] == [TRACE, "b" * 32]
    assert score.end_time - score.start_time == 250_000_000
    assert score.attributes["mentions"] == 3
    assert score.parent is None
    assert (deliver.name, f"{deliver.context.trace_id:032x}") == ("deliver", TRACE)
    assert dict(deliver.attributes) == {"channel": "desk", "outcome": "accepted"}


async def test_spans_are_sent_to_a_collector(monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="not installed: mention-monitor[otel]")
    async with answering((200, {}, b"")) as (url, calls):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        spans = spans_of(Settings.model_validate({"tracing": {"spans": True}}).tracing, "watch", "1.0")
        spans.tell("watch", 0.1, links=[PARENT], mentions=1)
        await asyncio.to_thread(spans.close)
    assert [call["path"] for call in calls] == ["/v1/traces"]
    assert b"monitor-watch" in calls[0]["raw"]
    assert bytes.fromhex(TRACE) in calls[0]["raw"]
