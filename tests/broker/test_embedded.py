"""The embedded broker as its users meet it, and Apache Kafka as the fault tests need it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from monitor.stream.embedded import HOST, BrokerError, EmbeddedBroker

pytestmark = pytest.mark.broker


def _listens(port: int, host: str = HOST) -> bool:
    with closing(socket.socket()) as conn:
        conn.settimeout(1)
        return conn.connect_ex((host, port)) == 0


def _gone_soon(port: int) -> bool:
    deadline = time.monotonic() + 5
    while _listens(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _listens(port)


async def _append(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        got: list[bytes] = []
        for _ in range(20):
            if len(got) >= count:
                break
            for records in (await consumer.getmany(timeout_ms=500)).values():
                got += [record.value for record in records]
        return got


async def test_what_is_appended_is_read(broker, topic):
    values = [f"value {number}".encode() for number in range(50)]
    await _append(broker.bootstrap, topic, values)
    assert await _read(broker.bootstrap, topic, 50) == values


def test_listens_on_the_loopback_address_only(own_embedded):
    assert _listens(own_embedded.port)
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {HOST}
    others = {host for host in others if not host.startswith("127.")}
    assert not [host for host in others if _listens(own_embedded.port, host)]


def test_a_dot_env_file_and_the_environment_do_not_reach_it(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("LISTENER_URL=tcp://0.0.0.0:1\nSTORAGE_ENGINE=nonsense://\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCHEMA_REGISTRY", "file:///nowhere")
    with EmbeddedBroker() as running:
        assert _listens(running.port)


def test_a_taken_port_is_named(own_embedded):
    with pytest.raises(BrokerError, match=f"port {own_embedded.port} is taken: choose another"):
        EmbeddedBroker(port=own_embedded.port).start()


def test_a_missing_binary_says_what_to_do(monkeypatch):
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(BrokerError, match="set CALF_TANSU_BIN"):
        EmbeddedBroker().start()


def test_a_home_that_cannot_be_written_is_no_hindrance(monkeypatch, tmp_path):
    (tmp_path / "home").write_text("a file, no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with EmbeddedBroker() as running:
        assert _listens(running.port)


def test_stops_within_a_second_and_comes_back_on_its_port(own_embedded):
    port = own_embedded.port
    began = time.monotonic()
    own_embedded.stop()
    assert time.monotonic() - began < 1
    assert not _listens(port)
    own_embedded.start()
    assert own_embedded.port == port
    assert _listens(port)


def test_it_ends_with_a_parent_that_is_killed():
    code = (
        "import time; from monitor.stream.embedded import EmbeddedBroker;"
        "print(EmbeddedBroker().start().port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        port = int(parent.stdout.readline())
        assert _listens(port)
        os.kill(parent.pid, signal.SIGKILL)
    assert _gone_soon(port)


def test_the_command_says_where_and_ends_on_sigterm():
    command = [sys.executable, "-m", "monitor", "broker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        line = running.stdout.readline()
        port = int(line.split(f"{HOST}:")[1].split()[0])
        assert _listens(port)
        running.terminate()
        assert running.wait(10) == 0
        assert running.stderr.read() == ""
    assert _gone_soon(port)


@pytest.mark.kafka
@pytest.mark.slow
async def test_apache_kafka_keeps_its_data_over_a_kill(own_kafka, prefix):
    own_kafka.tool("kafka-topics", "--create", "--topic", prefix, "--partitions", "2")
    await _append(own_kafka.bootstrap, prefix, [b"before"])
    bootstrap = own_kafka.bootstrap
    own_kafka.kill()
    own_kafka.start()
    assert own_kafka.bootstrap == bootstrap
    await _append(bootstrap, prefix, [b"after"])
    assert await _read(bootstrap, prefix, 2) == [b"before", b"after"]
