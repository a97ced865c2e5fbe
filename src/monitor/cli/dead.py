"""`monitor dead list|replay`."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.config import load
from monitor.mention import safe
from monitor.stream.dead import DeadLetter, Replayed, Sifting, dead_letters, replay
from monitor.stream.topics import client_options

app = typer.Typer(help="Show or send again what could not be read.", no_args_is_help=True)

Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only with this reason; can be given again.")]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Only the one from there, as `mentions[0]@17`; can be given again."),
]
Hours = Annotated[float | None, typer.Option("--hours", min=0, help="Only of the last so many hours.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]

_PREVIEW = 60


@app.command("list")
def list_(
    config: Config = None,
    reason: Reasons = None,
    origin: Origins = None,
    hours: Hours = None,
    limit: Limit = 100,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, values in full.")] = False,
) -> None:
    """Show what could not be read, and why."""
    settings = load(config)
    letters = asyncio.run(
        _collect(client_options(settings.kafka), settings.kafka.topics.dead, _sifting(reason, origin, hours, limit))
    )
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(_plain(letter)))
        return
    table = Table("when", "from", "reason", "detail", "bytes", "begins")
    for letter in letters:
        size = f"{len(letter.value)}" if letter.cut is None else f"{letter.cut}, cut"
        begins = safe(letter.value[:400].decode("utf-8", "replace"), _PREVIEW)
        cells = (_when(letter.at), letter.origin, letter.reason, safe(letter.detail, _PREVIEW), size, begins)
        table.add_row(*(Text(safe(cell, 200)) for cell in cells))
    Console().print(table)
    typer.echo(f"{len(letters)} dead letters" + (f" (--limit {limit})" if len(letters) == limit else ""))


@app.command("replay")
def replay_(
    config: Config = None,
    reason: Reasons = None,
    origin: Origins = None,
    hours: Hours = None,
    limit: Limit = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send dead letters to the mentions again, as they came; what arrived before counts once."""
    settings = load(config)
    topics, sifting = settings.kafka.topics, _sifting(reason, origin, hours, limit)
    done: Replayed = asyncio.run(
        replay(client_options(settings.kafka), topics.dead, topics.mentions, sifting, dry=dry_run)
    )
    typer.echo(f"{done.sent} {'would be sent' if dry_run else 'sent'} to {topics.mentions}")
    if done.cut:
        typer.echo(f"{done.cut} not sent: they were too long to be kept whole; send them again from their source")


async def _collect(client: dict[str, object], topic: str, sifting: Sifting) -> list[DeadLetter]:
    return [letter async for letter in dead_letters(client, topic, sifting)]


def _sifting(reason: list[str] | None, origin: list[str] | None, hours: float | None, limit: int | None) -> Sifting:
    return Sifting(
        reasons=frozenset(reason or ()),
        origins=frozenset(origin or ()),
        since=time.time() - hours * 3600 if hours is not None else None,
        limit=limit,
    )


def _plain(letter: DeadLetter) -> dict[str, object]:
    return {
        "at": _when(letter.at),
        "origin": letter.origin,
        "reason": letter.reason,
        "detail": letter.detail,
        "cut": letter.cut,
        "value": letter.value.decode("utf-8", "backslashreplace"),
    }


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
