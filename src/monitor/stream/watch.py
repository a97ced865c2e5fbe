"""The watching worker: readings in; stories, incidents, pages and the offset out, in one transaction per batch.

A Faust agent owns the partitions (`monitor.stream.faust_app`). What Faust is not left to decide: where to read on (the
store says), what is acknowledged (only what is committed, by hand) and how bytes become values (a decode error would
end an agent without a word).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog
from aiokafka.errors import IllegalStateError
from faust.types import TP
from msgspec import Struct

from monitor.engine import EngineSettings, PartitionEngine, decode_batch
from monitor.store import PartitionState, StoreUnavailableError
from monitor.stream.embedded import is_embedded
from monitor.stream.faust_app import GroupSettings, crash_of, faust_app
from monitor.stream.identity import UNREACHABLE
from monitor.stream.traces import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.brand.tree import BrandTree
    from monitor.clock import Clock
    from monitor.engine import Changes, ReadingBatch
    from monitor.escalation.rules import RuleSet
    from monitor.incident import Routes
    from monitor.store import Store, WatchStore
    from monitor.stream.identity import TopicIdentity

T = TypeVar("T")

TOGETHER_ITEMS = 1024
"""Items in one transaction, from which on it is committed: it costs as much as a hundred mentions, and many scoring
workers send many small records."""

STORE_PATIENCE_S = 120.0
"""How long a locked or full store is waited for: well below the time after which Kafka gives the partition away."""


IDLE_COMMIT_S = 5.0
"""Real seconds after which the offset is written even if only time has passed."""


STOP_S = 6.0
"""Real seconds in which the record under way is committed and Faust stops."""

BROKER_PAUSE_S = 2.0
"""Real seconds between two tries to reach a broker that is away."""

LOOK_S = 2.0
"""Real seconds between two looks at how far behind the worker is."""

SEEKS = 5
"""How often records that were left out are sought; if they don't come then, the topic has lost them."""

SEEK_AGAIN_S = 1.0
"""Real seconds between two seeks."""

SEEK_LOST_S = 5.0
"""Real seconds without the record that was sought, after which the seek itself is taken for lost."""

_log = structlog.get_logger("monitor.stream.watch")


class TopicMismatchError(Exception):
    """The stored offsets speak of another topic than this one; the message names the mend."""


class MissingRecordsError(Exception):
    """A record came before its time: those in between were not seen, so it must not be counted."""


class WatchSettings(Struct, frozen=True, kw_only=True):
    """What a watching worker needs to know. `fill`: a partition never read before fills baselines without paging."""

    client: dict[str, Any]
    readings: str = "readings"
    group: str = "monitor-watch"
    session_timeout_s: float = 10.0
    take_s: float = 0.1
    fill: bool = False
    data_dir: Path
    engine: EngineSettings


class WatchEvents:
    """What a watching worker tells of itself; telemetry overrides what it counts."""

    def committed(self, partition: int, changes: Changes, *, store_s: float, engine_s: float, clock: float) -> None:
        """A batch is in the store."""

    def skipped(self, partition: int) -> None:
        """A record had been committed before."""

    def poison(self, partition: int) -> None:
        """A record of `readings` could not be read, and was passed over."""

    def assigned(self, partitions: Sequence[int], stories: int) -> None:
        """The worker owns these partitions now, with so many live stories."""

    def retry(self) -> None:
        """The store did not take a transaction at once."""

    def progress(self) -> None:
        """Something moved: the worker is alive."""

    def idle(self) -> None:
        """All that was taken is done: nothing is expected to move until more comes."""

    def lag(self, partition: int, records: int) -> None:
        """How many records behind the end of a partition the worker is."""

    def stories(self, live: int) -> None:
        """How many live stories the worker holds."""


class _Owned(Struct):
    """A partition that this worker owns.

    `state` is how far the store is; `position` how far `engine` is, ahead of the store by records that changed nothing
    but the time. `seeks`: how often the record at `position` was sought, because those after it came first.
    """

    state: PartitionState
    engine: PartitionEngine
    position: int
    committed_at: float = 0.0
    seeks: int = 0
    sought_at: float = 0.0


class Watcher:
    """Owns partitions of `readings` until it is told to stop or has to start again."""

    def __init__(
        self,
        settings: WatchSettings,
        identity: TopicIdentity,
        store: Store,
        watch_store: WatchStore,
        tree: BrandTree,
        rules: RuleSet,
        clock: Clock,
        events: WatchEvents | None = None,
    ) -> None:
        self.settings = settings
        self._identity = identity
        self._store = store
        self._watch_store = watch_store
        self._tree = tree
        self._rules = rules
        self._clock = clock
        self._events = events or WatchEvents()
        self._owned: dict[int, _Owned] = {}
        self._resting: dict[int, _Owned] = {}  # owned before the rebalance that is under way
        self._generation: int | None = None  # of the group; None during a rebalance
        self._faust: Any = None  # the app that runs
        self._ended: asyncio.Future[None] | None = None  # settled by what ends the worker
        self._lock = asyncio.Lock()
        self._traces = Traces()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Raises:
            LostPartitionError: another worker owns a partition that this one thought its own; start again.
            StoreUnavailableError: the store stayed away; start again once it is back.
            TopicMismatchError: the stored offsets are of another topic.
        """
        self._ended = asyncio.get_running_loop().create_future()
        app = await self._started(stop)
        if app is None:
            return
        stopping = asyncio.create_task(stop.wait())
        looking: asyncio.Task[None] | None = None
        try:
            looking = asyncio.create_task(self._look(app))
            crashed = asyncio.create_task(crash_of(app))
            waited: set[asyncio.Future[Any]] = {self._ended, stopping, crashed}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            crashed.cancel()
            if self._ended.done():
                self._ended.result()
            if crashed.done() and not crashed.cancelled():
                crashed.result()
        finally:
            stopping.cancel()
            if looking is not None:
                looking.cancel()
            await self._stop(app)

    async def _started(self, stop: asyncio.Event) -> Any:
        """Start Faust, waiting for a broker that went away since its topics were looked at; None if told to stop.

        What could not start cannot be started again, so each try has an app of its own.
        """
        while not stop.is_set():
            app = self._faust = self._app()
            try:
                if not await self._start(app, stop):
                    return None
            except (*UNREACHABLE, OSError) as error:
                _log.warning("broker_away", error=type(error).__name__, again_in_s=BROKER_PAUSE_S)
                with contextlib.suppress(Exception):  # parts of it never started
                    await asyncio.wait_for(app.stop(), STOP_S / 2)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), BROKER_PAUSE_S)
            except BaseException:
                await self._stop(app)
                raise
            else:
                return app
        return None

    async def _start(self, app: Any, stop: asyncio.Event) -> bool:
        """Start Faust, unless told to stop meanwhile; returns whether it has started.

        It has once it owns partitions: while the group waits until a killed member's session is over, that takes
        longer than a worker may take to stop.
        """
        starting, stopping = asyncio.create_task(app.start()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            started = starting.done()
            if started:
                starting.result()
            else:
                await self._stop(app)
            return started
        finally:
            stopping.cancel()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    async def _look(self, app: Any) -> None:
        """Say again and again how far behind the worker is, also while the store keeps it waiting."""
        while True:
            for partition, owned in list(self._owned.items()):
                tp = TP(self.settings.readings, partition)
                with contextlib.suppress(Exception):  # a rebalance takes the consumer's partitions away in between
                    end = app.consumer.highwater(tp)
                    if end is not None:
                        self._events.lag(partition, max(0, end - owned.position))
                    await self._seek_again(owned, tp)
            self._events.stories(sum(owned.engine.live_stories for owned in self._owned.values()))
            await asyncio.sleep(LOOK_S)

    async def adopt(self, tree: BrandTree, rules: RuleSet, routes: Routes) -> None:
        """Judge by these brands and rules from now on, and address pages by these routes: between two records."""
        async with self._lock:
            self._tree, self._rules = tree, rules
            self._watch_store.set_routes(routes)
            for owned in (*self._owned.values(), *self._resting.values()):
                owned.engine.set_tree(tree)
                owned.engine.set_rules(rules)

    async def _stop(self, app: Any) -> None:
        """Let the record under way be committed, then leave: the store knows where whoever comes next reads on.

        Faust is not left to wait until all that it has fetched is acknowledged: after an error that is for ever, and
        under load longer than a worker may take to stop.
        """
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S / 2), self._lock:
                pass
        try:
            await asyncio.wait_for(app.stop(), STOP_S / 2)
        except TimeoutError:
            _log.warning("faust_left_behind", waited_s=STOP_S / 2)

    def _app(self) -> Any:
        s = self.settings
        kafka = GroupSettings(
            client=s.client,
            topic=s.readings,
            partitions=self._identity.partitions,
            group=s.group,
            session_timeout_s=s.session_timeout_s,
            data_dir=s.data_dir,
            leaves=not is_embedded(self._identity.cluster),
        )
        return faust_app(kafka, self, within_s=s.take_s)

    # -- assignment

    async def let_go(self) -> None:
        """A rebalance begins: nothing more is taken once the record under way is committed.

        Waiting for all that was fetched, as Faust would, keeps the whole group waiting: under load longer than a page
        may take.
        """
        self._generation = None
        async with self._lock:
            self._resting |= self._owned
            self._owned = {}

    def regain(self, generation: int) -> None:
        """A rebalance is over: records fetched in this generation of the group may be taken."""
        self._generation = generation

    async def take_over(self, consumer: Any, assigned: set[TP]) -> dict[TP, int]:
        """Load the state of what is assigned and seek to the stored offsets; returns them."""
        if self._generation is None:
            return {}  # Faust asks in the middle of a rebalance too
        async with self._lock:
            try:
                offsets = await self._load(consumer, assigned)
            except (TopicMismatchError, StoreUnavailableError) as error:
                self._end(error)
                raise
        self._events.assigned(sorted(self._owned), sum(owned.engine.live_stories for owned in self._owned.values()))
        return offsets

    async def _load(self, consumer: Any, assigned: set[TP]) -> dict[TP, int]:
        mine = {tp.partition for tp in assigned}
        for partition in [p for p in self._owned if p not in mine]:
            del self._owned[partition]
        if not assigned:
            return {}
        # The store is asked first: a worker that hangs in between must not take what others committed meanwhile for a
        # topic that has become shorter.
        stored: dict[TP, PartitionState | None] = {
            tp: await self._patiently(partial(self._watch_store.state, tp.topic, tp.partition))
            for tp in sorted(assigned)
        }
        begins = await consumer.earliest_offsets(*assigned)
        ends = await consumer.highwaters(*assigned)
        offsets: dict[TP, int] = {}
        for tp, known in stored.items():
            state = known if known is not None else await self._patiently(partial(self._begin, tp, begins.get(tp) or 0))
            self._check(state, tp, begins.get(tp), ends.get(tp))
            owned = self._owned.get(tp.partition) or self._resting.get(tp.partition)
            if owned is None or owned.state.next_offset != state.next_offset:
                stories, tides = await self._patiently(partial(self._watch_store.load, tp.partition))
                engine = PartitionEngine(tp.partition, self.settings.engine, self._tree, self._rules)
                engine.restore(state.marks, stories, tides)
                owned = _Owned(state, engine, state.next_offset)
            owned.seeks = 0
            self._owned[tp.partition] = owned
            offsets[tp] = state.next_offset
        self._resting.clear()
        await consumer.seek_wait(offsets)
        return offsets

    def _begin(self, tp: TP, begin: int) -> PartitionState:
        """Enter a partition that was never read; returns what the store has then."""
        identity = self._identity
        state = PartitionState(
            tp.topic,
            tp.partition,
            identity.cluster,
            identity.topic_id,
            identity.partitions,
            begin,
            PartitionEngine.first_marks(filling=self.settings.fill),
        )
        self._watch_store.begin(state)
        return self._watch_store.state(tp.topic, tp.partition) or state

    def _check(self, state: PartitionState, tp: TP, begin: int | None, end: int | None) -> None:
        identity = self._identity
        name = f"{tp.topic}[{tp.partition}]"
        problem = None
        if state.partitions != identity.partitions:
            problem = f"{tp.topic} has {identity.partitions} partitions, the store was written with {state.partitions}"
        elif (state.cluster, state.topic_id) != (identity.cluster, identity.topic_id):
            problem = f"{tp.topic} was made anew, or is of another cluster, since the store was written"
        elif end is not None and state.next_offset > end:
            problem = f"{name} ends at {end}, the store has read up to {state.next_offset}"
        elif begin is not None and state.next_offset < begin:
            problem = f"{name} begins at {begin} (retention), the store has read up to {state.next_offset} only"
        if problem is not None:
            raise TopicMismatchError(
                f"{problem}. Nothing was skipped. If that is meant, run `monitor offsets reset` and start again."
            )

    # -- batches

    async def take(self, events: Sequence[Any]) -> None:
        """Commit what was taken. Nothing escapes from here: what fails ends the worker."""
        try:
            self._events.progress()
            by_partition: dict[int, list[Any]] = {}
            for event in events:
                by_partition.setdefault(event.message.partition, []).append(event)
            for partition, several in by_partition.items():
                await self._several(partition, several)
            self._events.idle()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- the agent's outer wall: Faust would swallow it and go on
            self._end(error)

    async def _several(self, partition: int, events: Sequence[Any]) -> None:
        """Commit records of one partition, in order, as many at once as make a transaction worth its cost."""
        waiting = deque(events)
        while waiting:
            async with self._lock:
                owned = self._owned.get(partition)
                if owned is None or self._stopping:
                    return  # the partition was taken away, or the worker ends; the next owner reads these again
                done = await self._together(owned, waiting)
            for event in done:
                event.ack()
            self._events.progress()
            if waiting and self._is_early(waiting[0].message, owned.position):
                await self._seek_back(owned, waiting[0].message)
                return

    async def _together(self, owned: _Owned, waiting: deque[Any]) -> list[Any]:
        """Take in the next records up to `TOGETHER_ITEMS` and commit them; returns those that are done."""
        began = time.perf_counter()
        done: list[Any] = []
        batches: list[ReadingBatch] = []
        position, items = owned.position, 0
        while waiting and items < TOGETHER_ITEMS:
            if self._is_early(waiting[0].message, position):
                break
            event = waiting.popleft()
            message = event.message
            if message.generation_id != self._generation:
                continue  # of an assignment that is over; the next owner reads it again
            done.append(event)
            if message.offset < position:
                self._events.skipped(message.partition)
                continue
            position += 1
            owned.seeks = 0
            try:
                batches.append(decode_batch(message.value))
            except msgspec.MsgspecError:
                self._events.poison(message.partition)
            else:
                items += len(batches[-1].items)
        if batches:
            await self._apply(owned, batches, position, began)
        else:
            owned.position = position
        return done

    def _is_early(self, message: Any, position: int) -> bool:
        """Whether records are missing before this one."""
        return bool(message.generation_id == self._generation and message.offset > position)

    async def _seek_back(self, owned: _Owned, message: Any) -> None:
        """Read again from the record that is missing: what was fetched before a seek comes after it all the same.

        Raises:
            MissingRecordsError: it did not come after `SEEKS` seeks.
        """
        now = time.monotonic()
        if now - owned.sought_at < SEEK_AGAIN_S:
            return
        if owned.seeks >= SEEKS:
            raise MissingRecordsError(
                f"{message.topic}[{message.partition}] went on at {message.offset}, {owned.position} was expected. "
                "Nothing was skipped: the worker starts again at the stored offset. If it happens again and again, "
                "the topic has lost records: see `monitor offsets show`."
            )
        owned.seeks, owned.sought_at = owned.seeks + 1, now
        _log.info("sought_back", partition=message.partition, expected=owned.position, came=message.offset)
        with contextlib.suppress(IllegalStateError, TimeoutError):  # a rebalance, after which it is sought anyway
            await self._faust.consumer.seek_wait({TP(message.topic, message.partition): owned.position})

    async def _seek_again(self, owned: _Owned, tp: TP) -> None:
        """Seek once more where nothing came of a seek: on a quiet topic no later record would say that it was lost.

        It is not counted: a broker that hangs has not lost records. Nobody waits for it: while the store keeps a record
        waiting, others tell how far behind the worker is, and a rebalance must not wait for the consumer's answer.
        """
        now = time.monotonic()
        waits = owned.seeks and now - owned.sought_at >= SEEK_LOST_S and self._owned.get(tp.partition) is owned
        if not waits or self._lock.locked():
            return
        owned.sought_at = now
        _log.info("sought_again", partition=tp.partition, expected=owned.position)
        await self._faust.consumer.seek_wait({tp: owned.position})

    async def _apply(self, owned: _Owned, batches: Sequence[ReadingBatch], next_offset: int, began: float) -> None:
        engine = owned.engine
        wall = self._clock.now() if self.settings.engine.mode == "live" else None
        keys = PartitionEngine.wants(*batches)
        seen, loose = await self._known(keys) if keys else ({}, set())
        changes = engine.apply(batches, seen, loose, wall)
        self._traces.follow(batches, changes)
        engine_s = time.perf_counter() - began
        now = time.monotonic()
        if changes.empty and changes.purge_before is None and now - owned.committed_at < IDLE_COMMIT_S:
            # Only time has passed: the offset may lag, since reading a tick twice changes nothing.
            owned.position = next_offset
            self._events.committed(engine.partition, changes, store_s=0.0, engine_s=engine_s, clock=changes.clock)
            return
        began = time.perf_counter()
        await self._commit(owned, changes, next_offset)
        owned.committed_at = now
        self._events.committed(
            engine.partition, changes, store_s=time.perf_counter() - began, engine_s=engine_s, clock=changes.clock
        )

    async def _known(self, keys: set[bytes]) -> Any:
        return await self._patiently(partial(self._watch_store.known, keys))

    async def _patiently(self, work: Callable[[], T]) -> T:
        return await self._store.retry(work, patience_s=STORE_PATIENCE_S, on_retry=self._events.retry)

    async def _commit(self, owned: _Owned, changes: Changes, next_offset: int) -> None:
        state = owned.state
        await self._store.run_retrying(
            lambda connection: self._watch_store.commit(connection, state, changes, next_offset),
            patience_s=STORE_PATIENCE_S,
            on_retry=self._events.retry,
        )
        owned.position = next_offset
        owned.state = msgspec.structs.replace(
            state, next_offset=next_offset, marks=changes.marks, clock=changes.clock, behind=changes.behind
        )

    def _end(self, error: BaseException) -> None:
        """End the worker: its memory may be ahead of the store, so it has to be built anew."""
        self._owned.clear()
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)
