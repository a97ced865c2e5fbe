"""Dead letters and offsets over a real broker, through the command line as well."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from monitor.config import KafkaSettings, Settings, TopicNames, directory_of
from monitor.store import PartitionState, Store, WatchStore
from monitor.stream.dead import DeadLetter, Sifting, dead_letters, replay
from monitor.stream.embedded import BrokerError
from monitor.stream.offsets import reset, standings
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from tests.support.stores import url_for

pytestmark = [pytest.mark.broker, pytest.mark.store]


@pytest.fixture(params=["broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)])
async def kafka(request, prefix) -> KafkaSettings:
    running = request.getfixturevalue(request.param)
    settings = KafkaSettings(
        bootstrap=running.bootstrap,
        topics=TopicNames(mentions=f"{prefix}-m", readings=f"{prefix}-r", dead=f"{prefix}-d", incidents=f"{prefix}-i"),
        readings_partitions=2,
    )
    await ensure_topics(client_options(settings), topic_plans(settings))
    return settings


def _headers(reason: str, offset: int, **more: bytes) -> list[tuple[str, bytes]]:
    return [
        ("reason", reason.encode()),
        ("detail", b"a detail"),
        ("topic", b"mentions"),
        ("partition", b"1"),
        ("offset", str(offset).encode()),
        *more.items(),
    ]


async def _fill(kafka: KafkaSettings) -> None:
    async with AIOKafkaProducer(**client_options(kafka)) as producer:
        for offset, reason, value, more in (
            (3, "not_json", b"{oops \x1b[2J", {"ce_id": b"c3"}),
            (5, "bad_time", b'{"id": "5"}', {}),
            (9, "not_json", b"x" * 200_000, {"cut": b"900000"}),
        ):
            await producer.send_and_wait(kafka.topics.dead, value, key=b"k", headers=_headers(reason, offset, **more))


async def _records(kafka: KafkaSettings, topic: str, partitions: int) -> list:
    consumer = AIOKafkaConsumer(**client_options(kafka), auto_offset_reset="earliest")
    async with consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
        found = []
        while batches := await consumer.getmany(timeout_ms=800):
            found += [record for records in batches.values() for record in records]
        return found


async def _sift(kafka: KafkaSettings, **sifting) -> list[str]:
    letters = dead_letters(client_options(kafka), kafka.topics.dead, Sifting(**sifting))
    return [letter.origin async for letter in letters]


async def test_letters_are_found_with_their_reason_and_origin(kafka):
    await _fill(kafka)
    assert await _sift(kafka) == ["mentions[1]@3", "mentions[1]@5", "mentions[1]@9"]
    assert await _sift(kafka, reasons=frozenset({"not_json"}), limit=1) == ["mentions[1]@3"]


def test_letters_are_sifted():
    letter = DeadLetter(at=100.0, reason="bad_time", detail="", topic="mentions", partition=1, offset=9, value=b"")
    assert Sifting().takes(letter)
    assert Sifting(reasons=frozenset({"bad_time", "x"}), origins=frozenset({"mentions[1]@9"}), since=100).takes(letter)
    assert not Sifting(reasons=frozenset({"x"})).takes(letter)
    assert not Sifting(origins=frozenset({"mentions[1]@8"})).takes(letter)
    assert not Sifting(since=101).takes(letter)


async def test_replay_sends_them_as_they_came_and_not_what_was_cut(kafka):
    await _fill(kafka)
    client, topics = client_options(kafka), kafka.topics
    dry = await replay(client, topics.dead, topics.mentions, dry=True)
    assert (dry.sent, dry.cut) == (2, 1)
    assert await _records(kafka, topics.mentions, 4) == []
    done = await replay(client, topics.dead, topics.mentions)
    assert (done.sent, done.cut) == (2, 1)
    first, second = sorted(await _records(kafka, topics.mentions, 4), key=lambda record: len(record.value))
    assert {first.value, second.value} == {b'{"id": "5"}', b"{oops \x1b[2J"}
    by_value = {record.value: dict(record.headers) for record in (first, second)}
    assert by_value[b"{oops \x1b[2J"] == {"ce_id": b"c3", "replayed": b"mentions[1]@3"}


async def test_a_missing_topic_is_said(broker):
    client = client_options(KafkaSettings(bootstrap=broker.bootstrap))
    with pytest.raises(BrokerError, match=r"there is no topic 'nowhere\.dead'"):
        _ = [letter async for letter in dead_letters(client, "nowhere.dead")]


async def test_the_command_shows_hostile_text_safely(kafka, tmp_path):
    await _fill(kafka)
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "MONITOR_KAFKA__BOOTSTRAP": kafka.bootstrap,
        **{f"MONITOR_KAFKA__TOPICS__{name.upper()}": value for name, value in kafka.topics.model_dump().items()},
    }
    command = [sys.executable, "-m", "monitor", "dead", "list"]

    async def run(*args: str) -> tuple[str, str]:
        running = await asyncio.create_subprocess_exec(
            *command, *args, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await running.communicate()
        return out.decode(), err.decode()

    shown, plain = await asyncio.gather(run(), run("--json"))
    assert "mentions[1]@3" in shown[0]
    assert "900000, cut" in shown[0]
    assert "3 dead letters" in shown[0]
    assert "\x1b" not in shown[0]
    assert shown[1] == plain[1] == ""
    assert [json.loads(line)["reason"] for line in plain[0].splitlines()] == ["not_json", "bad_time", "not_json"]


async def test_offsets_tell_a_foreign_topic_and_reset_starts_anew(kafka, tmp_path):
    store = Store(url_for(tmp_path / "store.sqlite"))
    store.migrate()
    watch = WatchStore(store, directory_of(Settings()))
    client, topic = client_options(kafka), kafka.topics.readings
    assert [(one.stored, one.problem) for one in await standings(client, topic, watch)] == [(None, None)] * 2
    watch.begin(PartitionState(topic, 0, "elsewhere", "", 2, 500, marks=b"\x80"))
    first, second = await standings(client, topic, watch)
    assert first.problem == "the store was written for another cluster"
    assert second.problem is None
    after = await reset(client, topic, watch, "beginning")
    assert [(one.problem, one.stored.next_offset) for one in after] == [(None, 0), (None, 0)]
    assert after[0].stored.marks == b"\x80"
    store.close()
