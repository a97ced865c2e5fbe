"""`monitor offsets show|reset`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import directory_of, load
from monitor.store import WatchStore
from monitor.stream.offsets import Standing, reset, standings
from monitor.stream.topics import client_options

app = typer.Typer(help="Show where reading goes on, or start anew.", no_args_is_help=True)


@app.command()
def show(config: Config = None) -> None:
    """Show how far the store is in each partition of the readings. Exit code 1 where something is wrong."""
    settings = load(config)
    client, topic = client_options(settings.kafka), settings.kafka.topics.readings
    with opened(settings) as store:
        found = asyncio.run(standings(client, topic, WatchStore(store, directory_of(settings))))
    _print(found)
    if any(one.problem for one in found):
        typer.echo("to start anew: stop the watch workers, then `monitor offsets reset`")
        raise typer.Exit(1)


@app.command("reset")
def reset_(
    config: Config = None,
    to: Annotated[
        Literal["beginning", "now"], typer.Option(help="Read what the topic holds, or only what comes from now on.")
    ] = "beginning",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Make the store agree to the topic as it is now. Stop the watch workers first.

    Stories, incidents and ids stay: what was counted before is not counted again.
    """
    settings = load(config)
    topic = settings.kafka.topics.readings
    if not yes:
        typer.confirm(f"Are all watch workers stopped, and is {topic} to be read from {to!r} on?", abort=True)
    with opened(settings) as store:
        _print(asyncio.run(reset(client_options(settings.kafka), topic, WatchStore(store, directory_of(settings)), to)))


def _print(found: list[Standing]) -> None:
    table = Table("partition", "begins", "read up to", "ends", "event time", "problem")
    for one in found:
        stored = one.stored
        table.add_row(
            f"{one.topic}[{one.partition}]",
            str(one.begin),
            str(stored.next_offset) if stored else "never read",
            str(one.end),
            datetime.fromtimestamp(stored.clock, UTC).strftime("%Y-%m-%d %H:%M:%S") if stored and stored.clock else "",
            one.problem or "",
        )
    Console().print(table)
