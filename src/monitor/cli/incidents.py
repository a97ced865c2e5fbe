"""`monitor incident list|show`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import directory_of, load
from monitor.mention import safe
from monitor.store import IncidentStore

app = typer.Typer(help="Show incidents.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    config: Config = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, newest first.")] = 50,
    *,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the incidents that somebody still has to do something about."""
    settings = load(config)
    with opened(settings) as store:
        found = IncidentStore(store, directory_of(settings)).all(active=not every, limit=limit)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    table = Table("incident", "opened", "severity", "state", "owner", "brand", "headline")
    for one in found:
        cells = (one.id, _when(one.opened_at), one.severity, one.state, one.owner or "nobody", one.brand)
        table.add_row(*(Text(safe(cell, 60)) for cell in cells), Text(safe(one.headline, 80)))
    Console().print(table)


@app.command()
def show(incident: str, config: Config = None, *, as_json: AsJson = False) -> None:
    """Show one incident: what happened, who was told, and what became of it."""
    settings = load(config)
    with opened(settings) as store:
        incidents = IncidentStore(store, directory_of(settings))
        found = incidents.get(incident)
        if found is None:
            raise typer.BadParameter(f"there is no incident {incident!r}: see `monitor incident list --all`")
        log, pages = incidents.log(incident), [_page(row) for row in incidents.pages(incident)]
    if as_json:
        typer.echo(msgspec.json.encode({"incident": found, "log": log, "pages": pages}))
        return
    console = Console()
    console.print(Text(f"{found.id}  {found.severity}  {found.state}  {safe(found.headline, 200)}"))
    console.print(Text(f"brand {found.brand}, owner {found.owner or 'nobody'}, rule {found.rule}"))
    console.print(Text(safe(found.reason, 500)))
    table = Table("when", "what", "who", "why")
    for event in log:
        cells = (_when(event.at), type(event).__name__.lower(), event.by, event.why)
        table.add_row(*(Text(safe(cell, 200)) for cell in cells))
    console.print(table)
    table = Table("page", "to", "channel", "decided", "what became of it", "delivered")
    for page in pages:
        table.add_row(*(Text(safe(str(value or ""), 80)) for value in page.values()))
    console.print(table)


def _page(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "purpose": row["purpose"],
        "recipient": row["recipient"],
        "channel": row["channel"],
        "decided_at": _when(row["decided_at"]),
        "status": row["status"],
        "delivered_at": _when(row["delivered_at"]) if row["delivered_at"] else None,
    }


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
