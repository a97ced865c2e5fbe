"""Faust as a carrier of records: it holds the group and hands records on; their owner decides where to read on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import faust
from faust.tables import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from msgspec import Struct

from monitor.stream.groups import end_unsaid, in_time
from monitor.stream.topics import FETCH_WAIT_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAKE = 128
"""Records taken at once at most."""

METADATA_AGE_MS = 5_000
"""Real milliseconds between two looks at which partitions the topic has."""


class GroupSettings(Struct, frozen=True, kw_only=True):
    """Of which topic a consumer group reads, and how. `client`: aiokafka's options; `partitions`: the topic has.

    `leaves`: a member tells its group when it stops (see `groups.end_unsaid`).
    """

    client: dict[str, Any]
    topic: str
    partitions: int
    group: str
    session_timeout_s: float
    data_dir: Path
    leaves: bool = True


class Owner(Protocol):
    """What takes the records, and knows how far it is."""

    async def let_go(self) -> None:
        """A rebalance begins: finish what is under way, and take nothing more."""

    def regain(self, generation: int) -> None:
        """A rebalance is over; records of this generation of the group may be taken."""

    async def take_over(self, consumer: Any, assigned: set[TP]) -> dict[TP, int]:
        """Seek to where these partitions are to be read on; returns that."""

    async def take(self, events: Sequence[Any]) -> None:
        """Take in Faust's events, and acknowledge what is done. Must not raise: Faust would swallow it and go on."""


class _NoReadOffsets(dict[TP, int | None]):
    """How far Faust thinks that it has read: never known.

    Faust leaves out what lies before the newest record that it has handed on, also after a seek back when a record of
    an older fetch was still on its way; the engine knows by itself what it has seen.
    """

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Forget it."""

    def update(self, *_: Any, **__: Any) -> None:
        """Forget them."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread that talks to Kafka, which leaves the group only where it should, and asks anew before long."""

    async def on_thread_stop(self) -> None:
        """Leave in time: this thread keeps the process from ending."""
        if not self.app.conf.leaves:
            end_unsaid(self._consumer)
        await in_time(super().on_thread_stop())

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 -- Faust has no setting for it, and takes 1500
        return consumer


class StoredOffsets(Consumer):  # type: ignore[misc]  # Faust is untyped here
    """Faust's consumer, with the store deciding where each partition is read on: never the group's offsets."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = _NoReadOffsets()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit the record under way and let go; the rest is read again by the next owner."""
        self.stop_flow()  # Faust does so only where it had partitions, and then reads on before it has sought
        await self.app.conf.owner.let_go()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take records of this assignment from now on."""
        self.app.conf.owner.regain(generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Load what is assigned, and seek to the stored offsets."""
        assigned = {tp for tp in self.assignment() if tp.topic == self.app.conf.owned_topic}
        return cast("Mapping[TP, int]", await self.app.conf.owner.take_over(self, assigned))


class _StoredTransport(Transport):  # type: ignore[misc]
    Consumer = StoredOffsets


class _NoTables(TableManager):  # type: ignore[misc]
    """Faust's tables, of which there are none: its own waits a second, before it reads, for any to be declared."""

    async def on_start(self) -> None:
        """Go on at once."""
        await self._update_channels()
        await self.recovery.start()


class _App(faust.App):  # type: ignore[misc]
    def _new_transport(self) -> Any:
        return _StoredTransport(self.conf.broker_consumer, self)


def faust_app(settings: GroupSettings, owner: Owner, *, within_s: float) -> Any:
    """Return a Faust app, not started: its agent hands `owner` what comes within so many seconds, `TAKE` at most."""
    app = _App(
        settings.group,
        broker=[f"kafka://{server}" for server in _servers(settings.client)],
        broker_credentials=_credentials(settings.client),
        datadir=str(settings.data_dir),
        store="memory://",
        value_serializer="raw",
        key_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        stream_wait_empty=False,  # see Owner.let_go: the group would wait for all that was fetched
        stream_buffer_maxsize=64,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_request_timeout=max(40.0, settings.session_timeout_s * 4),
        broker_max_poll_interval=300.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        # A broker that has just come back may not know its topics yet: whoever leads the group then gives nothing
        # to anybody, until it looks again.
        consumer_metadata_max_age_ms=METADATA_AGE_MS,
        consumer_max_fetch_size=4 << 20,
        web_enabled=False,
        worker_redirect_stdouts=False,
        TableManager=_NoTables,
        loghandlers=[],
        monitor=None,
    )
    app.conf.owner, app.conf.owned_topic, app.conf.leaves = owner, settings.topic, settings.leaves
    app.finalize()
    topic = app.topic(settings.topic, value_type=bytes, key_type=bytes, value_serializer="raw", internal=False)

    @app.agent(topic, name="watch", concurrency=1)  # type: ignore[untyped-decorator]
    async def watch(stream: Any) -> None:
        async for events in stream.noack_take(TAKE, within=within_s):
            await owner.take(events)

    return app


async def crash_of(app: Any) -> None:
    """Wait until Faust itself gives up, and raise why."""
    await app._crashed.wait()  # noqa: SLF001 -- Faust offers no public way to wait for a crash
    raise app.crash_reason or RuntimeError("Faust stopped without a reason")


def _servers(client: Mapping[str, Any]) -> list[str]:
    servers = client["bootstrap_servers"]
    return [servers] if isinstance(servers, str) else list(servers)


def _credentials(client: Mapping[str, Any]) -> Any:
    """Return what Faust takes in the place of aiokafka's options; None for a plain connection."""
    protocol = client.get("security_protocol", "PLAINTEXT")
    context = client.get("ssl_context")
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=client["sasl_mechanism"],
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if protocol == "SSL" else None
