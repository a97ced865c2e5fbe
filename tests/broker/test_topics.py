"""Topics are made once, verified always, and known again by their id: on the embedded broker and on Apache Kafka."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from monitor.stream.embedded import HOST, BrokerError, free_port
from monitor.stream.identity import topic_identities, topic_identity
from monitor.stream.topics import TopicError, TopicPlan, ensure_topics

pytestmark = pytest.mark.broker


@pytest.fixture(params=["broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)])
def any_broker(request):
    return request.getfixturevalue(request.param)


def _plan(prefix: str, partitions: int = 4, **more) -> TopicPlan:
    return TopicPlan(name=prefix, partitions=partitions, setting="kafka.readings_partitions", **more)


async def _delete(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([name])
    await admin.close()
    for _ in range(40):
        if not await topic_identities(bootstrap, [name]):
            return
        await asyncio.sleep(0.1)


async def test_made_once_and_found_again(any_broker, prefix):
    plan = _plan(prefix, config={"retention.ms": "3600000", "max.message.bytes": "16777216"})
    made = await ensure_topics(any_broker.bootstrap, [plan])
    again = await ensure_topics(any_broker.bootstrap, [plan])
    assert made == again
    identity = made[prefix]
    assert identity.partitions == 4
    assert len(identity.topic_id) == 36
    assert identity.cluster
    assert await topic_identity(any_broker.bootstrap, prefix) == identity


async def test_many_workers_start_at_once(any_broker, prefix):
    plans = [_plan(f"{prefix}-{number}") for number in range(3)]
    results = await asyncio.gather(*(ensure_topics(any_broker.bootstrap, plans) for _ in range(5)))
    assert all(result == results[0] for result in results)


async def test_a_topic_made_anew_has_another_identity(any_broker, prefix):
    before = (await ensure_topics(any_broker.bootstrap, [_plan(prefix)]))[prefix]
    await _delete(any_broker.bootstrap, prefix)
    after = (await ensure_topics(any_broker.bootstrap, [_plan(prefix)]))[prefix]
    assert after != before
    assert after.topic_id != before.topic_id
    assert after.cluster == before.cluster


async def test_a_changed_number_of_partitions_is_refused_with_the_mend(any_broker, prefix):
    await ensure_topics(any_broker.bootstrap, [_plan(prefix, 4)])
    with pytest.raises(TopicError, match=r"has 4 partitions, but .* says 8.* Set kafka.readings_partitions: 4"):
        await ensure_topics(any_broker.bootstrap, [_plan(prefix, 8)])


async def test_a_topic_without_a_setting_may_have_any_number(any_broker, prefix):
    await ensure_topics(any_broker.bootstrap, [_plan(prefix, 4)])
    found = await ensure_topics(any_broker.bootstrap, [TopicPlan(name=prefix, partitions=1)])
    assert found[prefix].partitions == 4


async def test_asking_makes_no_topic(any_broker, prefix):
    with pytest.raises(BrokerError, match="there is no topic"):
        await topic_identity(any_broker.bootstrap, prefix)
    with pytest.raises(TopicError, match=r"kafka\.create_topics"):
        await ensure_topics(any_broker.bootstrap, [_plan(prefix)], create=False)
    assert await topic_identities(any_broker.bootstrap, [prefix]) == {}


async def test_a_name_that_kafka_does_not_take_says_so(kafka_broker):
    with pytest.raises(TopicError, match="cannot be made"):
        await ensure_topics(kafka_broker.bootstrap, [_plan("no spaces, please")])


async def test_nobody_there_names_the_address():
    port = free_port()
    with pytest.raises(BrokerError, match=f"no Kafka broker answers at {HOST}:{port}"):
        await topic_identity(f"{HOST}:{port}", "x")


async def test_a_restarted_embedded_broker_is_another_cluster(own_embedded, prefix):
    before = (await ensure_topics(own_embedded.bootstrap, [_plan(prefix)]))[prefix]
    own_embedded.restart()
    after = (await ensure_topics(own_embedded.bootstrap, [_plan(prefix)]))[prefix]
    assert after.cluster != before.cluster


async def test_a_restarted_kafka_is_the_same_cluster(own_kafka, prefix):
    before = (await ensure_topics(own_kafka.bootstrap, [_plan(prefix)]))[prefix]
    own_kafka.restart()
    assert await topic_identity(own_kafka.bootstrap, prefix) == before
