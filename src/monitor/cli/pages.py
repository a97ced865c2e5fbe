"""`monitor page test`."""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import msgspec
import typer

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import directory_of, load
from monitor.mention import safe
from monitor.page.outbox import SETTLED
from monitor.page.trial import trial_pages
from monitor.store import OutboxStore

if TYPE_CHECKING:
    from monitor.page.types import Page

app = typer.Typer(help="Send a test page.", no_args_is_help=True)

POLL_S = 0.3


@app.callback()
def _more() -> None:
    """Keep `test` a command of its own, though it is alone."""


@app.command("test")
def send_test(
    to: Annotated[str, typer.Option("--to", help="Whom: a recipient's name.")],
    config: Config = None,
    wait: Annotated[float, typer.Option(min=0, max=3600, help="Seconds to wait for the receipts.")] = 60.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send somebody a test page over each of their channels, through the running `monitor dispatch`.

    Exit code 1 if one was not accepted in time.
    """
    settings = load(config)
    with opened(settings) as store:
        pairs = directory_of(settings).reach(to, time.time())
        if not pairs:
            known = ", ".join(one.name for one in settings.recipients) or "none is configured"
            raise typer.BadParameter(f"{safe(to, 60)!r} is no recipient; known: {known}", param_hint="--to")
        by = os.environ.get("MONITOR_USER") or getpass.getuser()
        pages = trial_pages(pairs, name=uuid4().hex, by=safe(by, 60) or "somebody", now=time.time())
        found = asyncio.run(_send(OutboxStore(store), pages, wait))
    rows = [
        {
            "recipient": page.recipient,
            "channel": page.channel,
            "status": found[page.key][0],
            "detail": found[page.key][1],
        }
        for page in pages
    ]
    if as_json:
        typer.echo(msgspec.json.encode(rows))
    else:
        for row in rows:
            detail = f" ({safe(row['detail'], 200)})" if row["detail"] else ""
            typer.echo(f"{row['channel']}: {row['status']}{detail}")
    if any(row["status"] != "accepted" for row in rows):
        if any(row["status"] not in SETTLED for row in rows):
            typer.echo(f"not delivered within {wait:g} s: is `monitor dispatch` running?", err=True)
        raise typer.Exit(1)


async def _send(outbox: OutboxStore, pages: tuple[Page, ...], wait: float) -> dict[str, tuple[str, str]]:
    """Put the pages into the outbox and wait until all are settled, or the time is up."""
    await outbox.put(pages)
    deadline = time.monotonic() + wait
    while True:
        found = await outbox.standings([page.key for page in pages])
        if all(status in SETTLED for status, _ in found.values()) or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(POLL_S)
