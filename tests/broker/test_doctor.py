"""The doctor finds what is wrong, and finds nothing where nothing is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.config import Settings, directory_of, load
from monitor.doctor import examine, filesystem_of, run
from monitor.store import PartitionState, Store, WatchStore
from monitor.stream.topics import client_options, ensure_topics, topic_plans
from tests.support.stores import url_for

pytestmark = [pytest.mark.broker, pytest.mark.store]


@pytest.fixture
def good(broker, prefix, tmp_path) -> dict:
    names = {name: f"{prefix}-{name}" for name in ("mentions", "readings", "dead", "incidents")}
    return {
        "kafka": {"bootstrap": broker.bootstrap, "topics": names, "watch_group": prefix},
        "store": {"url": url_for(tmp_path / "store.sqlite")},
        "model": {"stub": True},
        "recipients": [{"name": "ana", "channels": [{"name": "screen", "type": "terminal"}]}],
    }


async def _told(settings: dict | Settings) -> dict[str, str]:
    """Give what is not well, by what it is."""
    if isinstance(settings, dict):
        settings = Settings.model_validate(settings)
    findings = await examine(settings)
    return {finding.what: finding.detail for finding in findings if finding.grade == "FAIL"}


async def test_nothing_is_wrong_before_and_after_the_first_start(good):
    assert await _told(good) == {}
    settings = Settings.model_validate(good)
    await ensure_topics(client_options(settings.kafka), topic_plans(settings.kafka))
    store = Store(settings.store.url)
    store.migrate()
    store.close()
    assert await _told(good) == {}


async def test_a_changed_number_of_partitions(good):
    settings = Settings.model_validate(good)
    await ensure_topics(client_options(settings.kafka), topic_plans(settings.kafka))
    good["kafka"]["readings_partitions"] = 16
    assert "Set kafka.readings_partitions: 4" in (await _told(good))["topic"]


async def test_topics_that_nobody_makes(good):
    good["kafka"]["create_topics"] = False
    assert "does not exist: make it" in (await _told(good))["topic"]


async def test_a_broker_that_is_not_there(good):
    good["kafka"]["bootstrap"] = "127.0.0.1:1"
    assert "no Kafka broker answers at 127.0.0.1:1" in (await _told(good))["broker"]


async def test_a_store_of_another_cluster(good):
    settings = Settings.model_validate(good)
    await ensure_topics(client_options(settings.kafka), topic_plans(settings.kafka))
    store = Store(settings.store.url)
    store.migrate()
    topic = settings.kafka.topics.readings
    WatchStore(store, directory_of(settings)).begin(PartitionState(topic, 0, "elsewhere", "", 4, 5))
    store.close()
    assert "for another cluster: see `monitor offsets show`" in (await _told(good))["offsets"]


async def test_a_file_that_is_no_store(good, tmp_path):
    good["store"]["url"] = f"sqlite:///{tmp_path}/store.sqlite"
    (tmp_path / "store.sqlite").write_text("this is no database, and a good deal longer than its header" * 50)
    assert "is not a database" in (await _told(good))["store"]


async def test_a_folder_that_cannot_be_written(good, tmp_path):
    if os.geteuid() == 0:
        good["store"]["url"] = "sqlite:////proc/monitor.sqlite"  # not even root may
        assert "/proc/monitor.sqlite" in (await _told(good))["store"]
    else:
        good["store"]["url"] = f"sqlite:///{tmp_path}/store.sqlite"
        tmp_path.chmod(0o500)
        assert "cannot be written by this user" in (await _told(good))["store"]
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("sqlite://", "name a file in store.url"),
        ("postgresql+nodriver://x", "cannot be understood"),
        ("postgresql+psycopg://nobody:secret-word@127.0.0.1:1/x", "start it, or correct store.url"),
    ],
)
async def test_a_store_that_will_not_do(good, url, mend):
    good["store"]["url"] = url
    detail = (await _told(good))["store"]
    assert mend in detail
    assert "secret-word" not in detail


async def test_a_receiver_that_is_not_there_and_nobody_at_all(good):
    hook = {"name": "hook", "type": "webhook", "url": "http://127.0.0.1:1/x", "secret": "s"}
    good["recipients"].append({"name": "bob", "channels": [hook]})
    assert "hook: http://127.0.0.1:1/x cannot be reached" in (await _told(good))["receivers"]
    good["recipients"] = []
    assert "add recipients" in (await _told(good))["receivers"]


async def test_weights_that_are_not_there(good, tmp_path):
    good["model"] = {"path": str(tmp_path / "nowhere")}
    assert "nowhere" in (await _told(good))["model"]


async def test_brands_that_are_not_right(good, tmp_path):
    good["brands"] = str(tmp_path / "brands.yaml")
    assert "brands.yaml" in (await _told(good))["brands"]
    (tmp_path / "brands.yaml").write_text("brands:\n  - {id: aurora, name: Aurora}\n")
    good["routes"] = [{"to": ["ana"], "brands": ["aurorra"]}]
    assert "'aurorra', which the brand file does not have" in (await _told(good))["brands"]


@pytest.mark.kafka
async def test_apache_kafka_is_fine_too(good, kafka_broker):
    good["kafka"]["bootstrap"] = kafka_broker.bootstrap
    assert await _told(good) == {}


def test_a_network_file_system_is_recognised():
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /srv/shared nfs4 rw 0 0\n/dev/sdb /srv/shared/local xfs rw 0 0\n"
    assert filesystem_of(Path("/srv/shared/store"), mounts) == "nfs4"
    assert filesystem_of(Path("/srv/shared/local/store"), mounts) == "xfs"
    assert filesystem_of(Path("/srv/sharedother"), mounts) == "ext4"


def test_the_command_says_what_is_wrong_and_exits_with_1(tmp_path, capsys):
    path = tmp_path / "monitor.yaml"
    path.write_text("kafka:\n  bootstrap: 127.0.0.1:1\nmodel: {stub: true}\n")
    environ = {"MONITOR_STORE__URL": f"sqlite:///{tmp_path}/store.sqlite"}
    assert load(path, environ).kafka.bootstrap == "127.0.0.1:1"
    assert run(path, environ=environ) == 1
    shown = capsys.readouterr().out
    assert "FAIL  broker          no Kafka broker answers" in shown
    assert shown.endswith("something has to be done before the workers can run\n")
    path.write_text("kafka: [\n")
    assert run(path, environ=environ) == 1
    assert "FAIL  configuration   " in capsys.readouterr().out
