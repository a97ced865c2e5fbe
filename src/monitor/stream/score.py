"""The scoring worker: mentions in, readings out, and nothing kept.

Plain aiokafka. Records are decoded, resolved to brands, read by the model (off the event loop) and sent on as
micro-batches; only when all of a round's records are acknowledged are the offsets committed. What is sent again after
a crash is dropped downstream by its origin, so this worker may die at any moment.

Rounds overlap: while the model reads one, the one before is being sent, the one after made ready for the model, and the
next fetched. Sending itself is strictly in order, and within a partition one record at a time: a record that failed is
sent again before the next, so that what stands in `readings` is always without gaps.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownTopicOrPartitionError
from msgspec import Struct

from monitor.engine.batching import Batcher, Read, with_reading
from monitor.mention.decode import Dead, decode
from monitor.sentiment.reading import Origin
from monitor.stream.groups import LEAVE_S, end_unsaid, in_time
from monitor.stream.rounds import Round, ScoreEvents
from monitor.stream.topics import FETCH_WAIT_MS
from monitor.telemetry.trace import HEADER as TRACE_HEADER
from monitor.telemetry.trace import traceparent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from monitor.brand.any import AnyBrand
    from monitor.brand.match import BrandMatcher
    from monitor.clock import Clock
    from monitor.sentiment.scorer import Scorer

TICK_HEADER = "monitor-tick"
"""A record of `mentions` with this header is no mention: its value is an event time in seconds, as text."""

DEAD_VALUE_BYTES = 900_000
"""Bytes of a dead-lettered record that are kept; a longer one is cut, and says so in its headers."""

KEPT_HEADERS = ("ce_", "content-type", TRACE_HEADER)
"""How the headers begin that a dead letter keeps."""

READ_AT_ONCE = 2
"""Rounds that are read at a time: what one needs of Python alone is done while the model works on the other."""

TICK_S = 1.0
RETRY_S = (0.1, 5.0)

ROUND_MODEL_S = 0.5
LEAST_ROUND = 32
"""A round takes as many mentions as the model lately read in `ROUND_MODEL_S`: what it holds waits for its last text, so
a slow model gets small rounds. Smaller than `LEAST_ROUND` costs more in padding than it saves in waiting."""


class ScoreSettings(Struct, frozen=True, kw_only=True):
    """What a scoring worker needs to know. `live`: it makes ticks by the clock; else they come with the mentions.

    `round_size`: mentions in a round at most. `leaves`: it tells its group when it stops (see `groups.end_unsaid`).
    """

    client: dict[str, Any]
    mentions: str = "mentions"
    readings: str = "readings"
    dead: str = "mentions.dead"
    group: str = "monitor-score"
    mentions_topic_id: str = ""
    mentions_partitions: int = 1
    readings_partitions: int = 8
    live: bool = True
    from_now: bool = False
    linger_s: float = 0.1
    round_size: int = 512
    session_timeout_ms: int = 10_000
    leaves: bool = True


class ScoreWorker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped here
    """Reads partitions of `mentions` until it is told to stop."""

    def __init__(
        self,
        settings: ScoreSettings,
        scorer: Scorer,
        matcher: BrandMatcher | AnyBrand,
        clock: Clock,
        executor: Executor,
        events: ScoreEvents | None = None,
    ) -> None:
        self.settings = settings
        self._scorer = scorer
        self.matcher = matcher
        self._clock = clock
        self._executor = executor
        self._events = events or ScoreEvents()
        self._read_to: dict[int, float] = {}  # per partition, the observed time of the last record
        self._ticked_at = 0.0
        self._lag_told_at = 0.0
        self._sending: asyncio.Task[None] | None = None
        self._generation = 0
        self._read_at = 0.0  # when the model was last through with a round
        self._round_size = min(LEAST_ROUND, settings.round_size)
        self._consumer: AIOKafkaConsumer = None
        self._producer: AIOKafkaProducer = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what was begun, commit and leave the group."""
        s = self.settings
        self._consumer = AIOKafkaConsumer(
            **s.client,
            group_id=s.group,
            enable_auto_commit=False,
            auto_offset_reset="latest" if s.from_now else "earliest",
            session_timeout_ms=s.session_timeout_ms,
            heartbeat_interval_ms=s.session_timeout_ms // 4,
            max_poll_interval_ms=300_000,
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=30_000,
        )
        self._producer = AIOKafkaProducer(
            **s.client,
            acks="all",
            linger_ms=0,
            max_request_size=4 << 20,
            request_timeout_ms=20_000,
            metadata_max_age_ms=30_000,
        )
        await self._start(self._producer, stop)
        await self._start(self._consumer, stop)  # it would wait for its partitions if it had subscribed before
        self._consumer.subscribe([s.mentions], listener=self)
        working = asyncio.create_task(self._work(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(working, LEAVE_S)
        finally:
            stopping.cancel()
            working.cancel()
            if not s.leaves:
                end_unsaid(self._consumer)
            for leave in (self._finish_sending, self._consumer.stop, self._producer.stop):
                await in_time(leave())  # what is not done then is read again by the next owner

    async def _start(self, client: Any, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await client.start()
            except KafkaError:
                self._events.retry("connect")
                await _pause(1.0, stop)
            else:
                return

    async def _work(self, stop: asyncio.Event) -> None:
        reading: deque[tuple[Round, asyncio.Task[None]]] = deque()
        ahead = asyncio.create_task(self._fetch(stop))
        try:
            while not stop.is_set():
                next_done: list[asyncio.Task[Any]] = [reading[0][1]] if reading else []
                if len(reading) < READ_AT_ONCE:
                    next_done.append(ahead)
                await asyncio.wait(next_done, return_when=asyncio.FIRST_COMPLETED)
                if reading and reading[0][1].done():
                    await self._pass_on(*reading.popleft())
                if len(reading) < READ_AT_ONCE and ahead.done():
                    fetched = ahead.result()
                    ahead = asyncio.create_task(self._fetch(stop))
                    if fetched is not None:
                        reading.append((fetched, asyncio.create_task(self._read(fetched))))
            while reading:
                await self._pass_on(*reading.popleft())
        finally:
            ahead.cancel()  # what it fetched is not committed: the next worker reads it again
            for _, task in reading:
                task.cancel()

    async def _pass_on(self, current: Round, read: asyncio.Task[None]) -> None:
        """Send a round once it is read and the one before it is sent."""
        await read
        await self._finish_sending()
        self._sending = asyncio.create_task(self._send(current))

    async def _finish_sending(self) -> None:
        if self._sending is not None:
            sending, self._sending = self._sending, None
            await sending

    # -- fetch and decode

    async def _fetch(self, stop: asyncio.Event) -> Round | None:
        """Collect up to a round of records, for as long as records linger; None if there is nothing to do."""
        began = time.monotonic()
        current = Round([], [], [], {}, began, self._generation)
        deadline = began + self.settings.linger_s
        while not stop.is_set():
            room = self._round_size - len(current.items)
            wait = max(0.0, deadline - time.monotonic())
            if room <= 0:
                break
            try:
                batches = await self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=room)
            except KafkaError:
                self._events.retry("fetch")
                await _pause(0.5, stop)
                break
            if current.generation != self._generation:
                # A rebalance in between: what was collected before it is read again from the committed offset, and
                # what has just come belongs to the new assignment.
                current = Round([], [], [], {}, began, self._generation)
            for tp, records in batches.items():
                self._decode(tp, records, current)
            if wait == 0.0 or (not batches and not current.items):
                break
        self._live_ticks(current)
        self._tell_lag()
        self._events.progress()
        return current if current.items or current.ticks or current.offsets else None

    def _decode(self, tp: TopicPartition, records: Sequence[Any], current: Round) -> None:
        for record in records:
            current.offsets[tp] = record.offset + 1
            headers = record.headers or ()
            if headers and any(name == TICK_HEADER for name, _ in headers):
                self._tick_record(tp.partition, record, current)
                continue
            appended = self._appended(record)
            origin = Origin(tp.partition, record.offset, appended)
            mention = decode(record.value or b"", record_time=appended, headers=headers)
            if isinstance(mention, Dead):
                current.dead.append((record, mention))
                current.items.append(origin)
                continue
            observed = mention.observed_at.timestamp() if mention.observed_at else appended
            self._read_to[tp.partition] = max(observed, self._read_to.get(tp.partition, 0.0))
            hits = self.matcher.match(mention)
            trace = traceparent_of(headers) if headers else None
            if trace is not None:
                current.traces.append(trace)
            current.items.append(Read(mention, hits, self.matcher.is_own(mention), None, origin, trace))

    def _appended(self, record: Any) -> float:
        """Return when the record was appended; a producer may write anything there, so never later than now."""
        now = self._clock.now()
        stamp = float(record.timestamp) / 1000.0
        return min(stamp, now) if stamp > 0 else now

    def _tick_record(self, partition: int, record: Any, current: Round) -> None:
        try:
            at = float(record.value)
        except (TypeError, ValueError):
            current.dead.append((record, Dead("wrong_type", "a tick whose value is no time")))
            current.items.append(Origin(partition, record.offset, record.timestamp / 1000.0))
            return
        if not self.settings.live:
            current.ticks.append((len(current.items), partition, at))

    def _live_ticks(self, current: Round) -> None:
        """Once a second say of every partition owned how far it has been read; at its end that is now."""
        now = self._clock.now()
        if not self.settings.live or now - self._ticked_at < TICK_S:
            return
        self._ticked_at = now
        for partition, lag in self._lags():
            at = now if lag == 0 else self._read_to.get(partition)
            if at is not None:
                current.ticks.append((len(current.items), partition, at))

    def _tell_lag(self) -> None:
        """Once a second say how far behind the end of each partition this worker is."""
        now = self._clock.now()
        if now - self._lag_told_at < TICK_S:
            return
        self._lag_told_at = now
        for partition, lag in self._lags():
            at = self._read_to.get(partition)
            self._events.lag(partition, lag, 0.0 if lag == 0 or at is None else max(0.0, now - at))

    def _lags(self) -> Iterator[tuple[int, int]]:
        """Yield each partition owned with the number of records behind its end, where that is known."""
        for tp in sorted(self._consumer.assignment()):
            try:
                end = self._consumer.highwater(tp)
                read_to = self._position(tp)
            except IllegalStateError:
                continue
            if end is not None and read_to is not None:
                yield tp.partition, max(0, end - read_to)

    def _position(self, tp: TopicPartition) -> int | None:
        state = self._consumer._subscription.subscription  # noqa: SLF001 -- position() would wait for the broker
        if state is None or state.assignment is None or tp not in state.assignment.tps:
            return None
        value = state.assignment.state_value(tp)
        return int(value._position) if value is not None and value.has_valid_position else None  # noqa: SLF001

    # -- read

    async def _read(self, current: Round) -> None:
        """Let the model read what names a brand or may belong to a story."""
        wanted = [
            (number, item)
            for number, item in enumerate(current.items)
            if isinstance(item, Read)
            and item.mention.text
            and (item.hits or item.mention.in_reply_to or item.mention.repost_of or item.mention.kind == "edit")
        ]
        if not wanted:
            return
        texts = [item.mention.text for _, item in wanted]
        langs = [item.mention.lang for _, item in wanted]
        began = time.monotonic()
        readings = await asyncio.get_running_loop().run_in_executor(self._executor, self._scorer.read, texts, langs)
        ended = time.monotonic()
        current.model_s, self._read_at = ended - max(began, self._read_at), ended
        self._round_size = next_round(
            self._round_size, len(current.items), current.model_s, most=self.settings.round_size
        )
        self._events.read(readings)
        for (number, item), reading in zip(wanted, readings, strict=True):
            current.items[number] = with_reading(item, reading)

    # -- send and commit

    async def _send(self, current: Round) -> None:
        generation = current.generation
        if generation != self._generation:
            return  # of an assignment that is over; sending it after a round that was given up would leave a gap
        batcher = Batcher(
            self.settings.mentions_topic_id, self.settings.mentions_partitions, self.settings.readings_partitions
        )
        ticks = iter(current.ticks)
        tick = next(ticks, None)
        for number, item in enumerate(current.items):
            while tick is not None and tick[0] <= number:
                batcher.tick(tick[1], tick[2])
                tick = next(ticks, None)
            if isinstance(item, Read):
                batcher.add(item)
            else:
                batcher.add_dead(item)
        while tick is not None:
            batcher.tick(tick[1], tick[2])
            tick = next(ticks, None)
        sends = [self._send_in_order(partition, values, generation) for partition, values in batcher.flush()]
        sends += [self._send_dead(record, dead, generation) for record, dead in current.dead]
        sent = await asyncio.gather(*sends)
        if all(sent) and generation == self._generation:
            current.tell_arrived(self._events, self._clock.now())
            await self._commit(current.offsets)
        current.tell(self._events)
        self._events.progress()

    async def _send_in_order(self, partition: int, values: Iterable[bytes], generation: int) -> bool:
        return all(
            [await self._deliver(self.settings.readings, value, generation, partition=partition) for value in values]
        )

    async def _send_dead(self, record: Any, dead: Dead, generation: int) -> bool:
        value = record.value or b""
        headers = [
            ("reason", dead.reason.encode()),
            ("detail", dead.detail.encode()),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            *[(name, content) for name, content in record.headers or () if name.startswith(KEPT_HEADERS)],
        ]
        if len(value) > DEAD_VALUE_BYTES:
            headers.append(("cut", str(len(value)).encode()))
            value = value[:DEAD_VALUE_BYTES]
        self._events.dead(dead.reason)
        return await self._deliver(self.settings.dead, value, generation, headers=headers, key=record.key)

    async def _deliver(self, topic: str, value: bytes, generation: int, **where: Any) -> bool:
        """Send one record until the broker has it; False if the partitions were lost meanwhile."""
        pause = RETRY_S[0]
        while generation == self._generation:
            try:
                await self._producer.send_and_wait(topic, value, **where)
            except UnknownTopicOrPartitionError:
                raise
            except KafkaError:
                self._events.retry("send")
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_S[1])
            else:
                return True
        return False

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        if not offsets:
            return
        assigned = self._consumer.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        try:
            if mine:
                await self._consumer.commit(mine)
        except (CommitFailedError, IllegalStateError):
            self._events.retry("commit")  # a rebalance came first: the next owner reads these again
        except KafkaError:
            self._events.retry("commit")  # the next round's commit says it too

    # -- rebalances

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what is being sent finish and commit, for a moment; then it is the next owner's."""
        if self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending], timeout=self.settings.session_timeout_ms / 2000)
        self._generation += 1
        for tp in revoked:
            self._read_to.pop(tp.partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note what is owned."""
        self._events.assigned(sorted(tp.partition for tp in assigned))


def next_round(size: int, mentions: int, model_s: float, *, most: int) -> int:
    """Return how many mentions the next round takes, after one of `mentions` whose texts took the model `model_s`.

    It at most doubles, so that a round of texts from the cache says nothing about the ones to come.

    >>> next_round(32, 32, 0.05, most=256), next_round(256, 256, 3.2, most=256), next_round(64, 3, 0.01, most=256)
    (64, 40, 64)
    """
    if 2 * mentions < size:
        return size  # too few to learn from
    fitting = int(mentions * ROUND_MODEL_S / max(model_s, 1e-6))
    return max(min(fitting, 2 * size, most), min(LEAST_ROUND, most))


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
