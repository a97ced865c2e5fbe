"""`monitor replay`: a file of mentions into Kafka, far faster than life, but never far ahead of the workers."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 -- typer reads the types at run time
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import load
from monitor.demo.stream import from_file
from monitor.mention import Mapping
from monitor.store import read_account
from monitor.stream.replay import Replayer
from monitor.stream.topics import client_options, ensure_topics, topic_plans

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.store import Store


class ReplayError(ValueError):
    """A replay would do harm here; the text says why, and what to do."""


def replay(
    file: Annotated[Path, typer.Argument(help="JSON lines, plain or gzip.", exists=True, dir_okay=False)],
    config: Config = None,
    mapping: Annotated[str | None, typer.Option("--map", help="A mapping, by file or name.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Mentions a second at most.")] = None,
    window: Annotated[int, typer.Option(min=1, help="At most so many ahead of the workers.")] = 1500,
) -> None:
    """Publish a file of mentions with its own time. The workers must run with `time.mode: replay`."""
    settings = load(config)
    if settings.time.mode != "replay":
        raise ReplayError(
            "the configuration says time.mode: live, where the past counts as a backlog and pages nobody: "
            "replay into topics and a store of their own, with time.mode: replay"
        )
    with opened(settings) as store:
        published = asyncio.run(_run(settings, store, file, mapping, rate, window))
    typer.echo(f"{published} published to {settings.kafka.topics.mentions}")


async def _run(
    settings: Settings, store: Store, file: Path, mapping: str | None, rate: float | None, window: int
) -> int:
    client = client_options(settings.kafka, name="monitor-replay")
    await ensure_topics(client, topic_plans(settings.kafka), create=settings.kafka.create_topics)
    before = await store.run(lambda: store.transact(read_account).total)

    async def behind(published: int) -> int:
        total = await store.run(lambda: store.transact(read_account).total)
        return published - (total - before)

    replayer = Replayer(
        client,
        settings.kafka.topics.mentions,
        settings.kafka.mentions_partitions,
        behind=behind,
        window=window,
        rate=rate,
    )
    await replayer.run(from_file(file, Mapping.named(mapping) if mapping else None))
    return replayer.published
