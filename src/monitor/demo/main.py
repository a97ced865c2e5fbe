"""Plays the demo's stream on its stage, from the first mention to the summary."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from monitor.config import directory_of
from monitor.demo.receiver import Receiver
from monitor.demo.stream import SimulatedWeek, from_file, mapping_for
from monitor.demo.summary import summarise
from monitor.demo.view import View
from monitor.mention.text import safe
from monitor.store import Account, OutboxStore, Store, read_account
from monitor.store.tables import story
from monitor.stream.replay import Replayer
from monitor.stream.topics import client_options, ensure_topics, topic_plans

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from rich.console import Console

    from monitor.demo.stage import Stage
    from monitor.demo.start import DemoOptions
    from monitor.mention import Mapping
    from monitor.stream.replay import Outgoing

LOOK_S = 0.1
WINDOW = 1200
"""Mentions that may be published and not yet accounted for: what keeps the replay from running ahead."""

RATE = 450.0
"""Mentions a second at most of the simulated week, so that a person can watch it."""

PATIENCE_S = 60.0
"""Real seconds without any progress after which the demo gives up and says so."""

LIVE_STORIES = 6


class DemoError(RuntimeError):
    """The demo did not come to its end; the text says where it stood."""


def play(options: DemoOptions, stage: Stage, listen: socket.socket, console: Console, began: float) -> int:
    """Play the stream on a stage that is starting, and sum up.

    `listen` is the receiver's bound socket, `began` when the demo began by the monotonic clock. Returns 0 if every
    mention was accounted for and no page came twice.
    """
    return asyncio.run(_perform(options, stage, listen, console, began))


async def _perform(options: DemoOptions, stage: Stage, listen: socket.socket, console: Console, began: float) -> int:
    with View(console) as view:
        receiver = Receiver(listen, stage.secret, view.page)
        await receiver.start()
        try:
            rules, how = mapping_for(options.input, options.mapping) if options.input is not None else (None, "")
            if how:
                view.say(f"{how[0].upper()}{how[1:]}.")
            summary = await _play(options, rules, stage, receiver, view, began)
        finally:
            await asyncio.to_thread(stage.stop)
            await receiver.stop()
    _print(console, summary, time.monotonic() - began)
    if options.summary is not None:
        options.summary.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    accounted = sum(summary[name] for name in Account.__struct_fields__)
    return 0 if accounted == summary["published"] and not summary["pages_repeated"] else 1


async def _play(
    options: DemoOptions, rules: Mapping | None, stage: Stage, receiver: Receiver, view: View, began: float
) -> dict[str, Any]:
    settings = stage.settings()
    client = client_options(settings.kafka, name="monitor-demo")
    await ensure_topics(client, topic_plans(settings.kafka))
    store = Store(settings.store.url)
    await store.retry(store.migrate)
    state = _Accounted(store)
    week = None
    stream: Iterator[Outgoing]
    if options.input is not None:
        stream = from_file(options.input, rules)
    else:
        week = SimulatedWeek(options.seed)
        stream = week.stream()
    replayer = Replayer(
        client,
        settings.kafka.topics.mentions,
        settings.kafka.mentions_partitions,
        behind=state.behind,
        window=WINDOW,
        rate=RATE if options.input is None else None,
    )
    playing = asyncio.create_task(replayer.run(stream))
    try:
        await _watch_it(stage, state, replayer, playing, view, began)
        await _delivered(store, stage)
        truth = week.stories() if week is not None else None
        return await store.run(lambda: summarise(store, directory_of(settings), receiver, replayer.published, truth))
    finally:
        playing.cancel()
        store.close()


class _Accounted:
    """The account as the store has it, read ten times a second at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_at = 0.0
        self.account = Account()

    async def behind(self, published: int) -> int:
        """Return how many published mentions are not accounted for."""
        if time.monotonic() - self._read_at > LOOK_S:
            self.account = await self._store.run(self._read)
            self._read_at = time.monotonic()
        return published - self.account.total

    def _read(self) -> Account:
        with self._store.engine.connect().execution_options(read_only=True) as connection:
            return read_account(connection)

    async def stories(self) -> list[Any]:
        """Return the biggest live stories."""

        def read() -> list[Any]:
            with self._store.engine.connect().execution_options(read_only=True) as connection:
                return list(
                    connection.execute(
                        select(story.c.voices, story.c.size, story.c.brand, story.c.headline)
                        .where(story.c.closed.is_(False))
                        .order_by(story.c.voices.desc())
                        .limit(LIVE_STORIES)
                    )
                )

        return await self._store.run(read)


async def _watch_it(
    stage: Stage,
    state: _Accounted,
    replayer: Replayer,
    playing: asyncio.Task[None],
    view: View,
    began: float,
) -> None:
    """Show progress until everything that was published is accounted for."""
    last, moved_at, first = -1, time.monotonic(), True
    while True:
        await asyncio.sleep(LOOK_S * 2)
        stage.check()
        if playing.done():
            playing.result()
        behind = await state.behind(replayer.published)
        total = state.account.total
        if total and first:
            first = False
            stage.start("dispatch")  # what others need to read the first one comes before it
            view.say(f"First mention read after {time.monotonic() - began:.1f} s.")
        view.progress(state.account, replayer.published, replayer.event_time, await state.stories())
        if total != last:
            last, moved_at = total, time.monotonic()
        if replayer.done and behind <= 0:
            return
        if time.monotonic() - moved_at > PATIENCE_S:
            raise DemoError(
                f"nothing moved for {PATIENCE_S:.0f} s: {total} of {replayer.published} mentions are accounted for"
            )


async def _delivered(store: Store, stage: Stage) -> None:
    """Wait until the last decisions are made and every page is settled."""
    outbox = OutboxStore(store)
    quiet = 0
    deadline = time.monotonic() + PATIENCE_S
    while quiet < 10 and time.monotonic() < deadline:  # noqa: PLR2004 -- two seconds without any page
        await asyncio.sleep(0.2)
        stage.check()
        quiet = quiet + 1 if (await outbox.depth()).unsettled == 0 else 0


def _print(console: Console, summary: dict[str, Any], seconds: float) -> None:
    published = summary["published"]
    accounted = sum(summary[name] for name in Account.__struct_fields__)
    console.print()
    console.print(Text(f"{published:,} mentions in {seconds:.0f} s, {published / seconds:,.0f} a second.", "bold"))
    parts = ", ".join(f"{summary[name]:,} {name.replace('_', ' ')}" for name in Account.__struct_fields__)
    lost = published - accounted
    console.print(f"Every mention accounted for: {parts}." if not lost else f"NOT ACCOUNTED FOR: {lost}; {parts}.")
    console.print(f"Pages sent twice: {summary['pages_repeated']}.")
    if not summary["pages"]:
        console.print("Nobody had to be told of anything.")
        return
    table = Table(title=f"Pages sent: {len(summary['pages'])}", title_justify="left", width=100)
    for name in ("to", "severity", "brand", "sent", "lead", "about"):
        table.add_column(name, no_wrap=name != "about")
    for page in summary["pages"]:
        table.add_row(
            page["recipient"],
            page["severity"] if page["purpose"] != "notice" else "notice",
            Text(safe(page["brand"], 20)),
            f"{page['sent_at'][5:10]} {page['sent_at'][11:16]}",
            "" if page["purpose"] == "notice" else _lead(page["lead_seconds"]),
            Text(safe(page["headline"], 90)),
        )
    console.print(table)


def _lead(seconds: float | None) -> str:
    """Say how early a page was.

    >>> _lead(5400.0), _lead(-600.0), _lead(None)
    ('1 h 30 min', '10 min late', 'no line crossed')
    """
    if seconds is None:
        return "no line crossed"
    minutes = round(abs(seconds) / 60)
    said = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 -- an hour
    return said if seconds >= 0 else f"{said} late"
