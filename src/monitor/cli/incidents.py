"""`monitor incident list|show|ack|assign|answer|resolve|dismiss|silence|link|unlink`."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import directory_of, load
from monitor.incident import Wish
from monitor.incident.verbs import seconds
from monitor.mention import safe
from monitor.store import Desk, IncidentStore, UnknownIncidentError

if TYPE_CHECKING:
    from monitor.incident import Event, Incident

app = typer.Typer(help="Show incidents, and say what is done about them.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="INCIDENT", help="The incident's id: see `monitor incident list`.")]
By = Annotated[str | None, typer.Option("--by", help="Who you are; default: $MONITOR_USER, then your login name.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the audit log.")]
Expect = Annotated[
    int | None, typer.Option("--version", min=1, help="Only if the incident still has this version, as `show` says.")
]


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
def show(incident: Id, config: Config = None, *, as_json: AsJson = False) -> None:
    """Show one incident: what happened, who was told, and what became of it."""
    settings = load(config)
    with opened(settings) as store:
        incidents = IncidentStore(store, directory_of(settings))
        found = incidents.get(incident)
        if found is None:
            raise _unknown(incident)
        log, pages = incidents.log(incident), [_page(row) for row in incidents.pages(incident)]
    if as_json:
        typer.echo(msgspec.json.encode({"incident": found, "log": log, "pages": pages}))
        return
    console = Console()
    console.print(Text(f"{found.id}  {found.severity}  {found.state}  {safe(found.headline, 200)}"))
    console.print(Text(safe(f"brand {found.brand}, owner {found.owner or 'nobody'}, rule {found.rule}", 300)))
    console.print(Text(f"version {found.version}, cycle {found.cycle}, handed over {found.handovers} times"))
    if found.silenced_until is not None:
        until = f"silenced by {found.silenced_by} until {_when(found.silenced_until)}"
        console.print(Text(safe(until, 200)))
    if found.parent is not None:
        console.print(Text(f"part of {found.parent}"))
    if found.children:
        console.print(Text(f"its parts: {', '.join(found.children)}"))
    console.print(Text(safe(found.reason, 500)))
    table = Table("when", "what", "who", "why")
    for event in log:
        cells = (_when(event.at), _what(event), event.by, event.why)
        table.add_row(*(Text(safe(cell, 200)) for cell in cells))
    console.print(table)
    table = Table("page", "to", "channel", "decided", "what became of it", "delivered")
    for page in pages:
        table.add_row(*(Text(safe(str(value or ""), 80)) for value in page.values()))
    console.print(table)


@app.command()
def ack(
    incident: Id,
    config: Config = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say that you have seen it; it is yours if it was nobody's."""
    _do(config, incident, Wish(verb="ack", by=_me(by), why=why), version, as_json=as_json)


@app.command()
def assign(
    incident: Id,
    to: Annotated[str, typer.Option("--to", help="Whose it is to be: a recipient's name.")],
    config: Config = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Give it to somebody. Taking it from its owner needs a reason."""
    _do(config, incident, Wish(verb="assign", by=_me(by), why=why, owner=to), version, as_json=as_json)


@app.command()
def answer(
    incident: Id,
    config: Config = None,
    url: Annotated[str | None, typer.Option("--url", help="Where the answer stands, if in public.")] = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say that the customer was answered."""
    _do(config, incident, Wish(verb="answer", by=_me(by), why=why, url=url), version, as_json=as_json)


@app.command()
def resolve(
    incident: Id,
    config: Config = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say that it is over; those who were paged are told."""
    _do(config, incident, Wish(verb="resolve", by=_me(by), why=why), version, as_json=as_json)


@app.command()
def dismiss(
    incident: Id,
    why: Annotated[str, typer.Option("--why", help="Why it was a false alarm.")],
    config: Config = None,
    by: By = None,
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say that it was a false alarm, and why."""
    _do(config, incident, Wish(verb="dismiss", by=_me(by), why=why), version, as_json=as_json)


@app.command()
def silence(
    incident: Id,
    lasting: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 1d (7d at most); 0m lifts it.")],
    why: Annotated[str, typer.Option("--why", help="Why nobody is to be paged about it.")],
    config: Config = None,
    by: By = None,
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let nobody be paged about it for a while, unless it becomes a crisis."""
    try:
        for_s = seconds(lasting)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    _do(config, incident, Wish(verb="silence", by=_me(by), why=why, for_s=for_s), version, as_json=as_json)


@app.command()
def link(
    incident: Id,
    to: Annotated[str, typer.Option("--to", help="The incident that it is a part of.")],
    config: Config = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Put it below another incident, which speaks for it: nobody is paged about it by itself any more."""
    _do(config, incident, Wish(verb="link", by=_me(by), why=why, parent=to), version, as_json=as_json)


@app.command()
def unlink(
    incident: Id,
    config: Config = None,
    by: By = None,
    why: Why = "",
    version: Expect = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let it stand for itself again; it is paged now if nobody was told of it."""
    _do(config, incident, Wish(verb="unlink", by=_me(by), why=why), version, as_json=as_json)


def _do(config: Config, incident: str, wish: Wish, version: int | None, *, as_json: bool) -> None:
    settings = load(config)
    with opened(settings) as store:
        desk = Desk(store, directory_of(settings))
        try:
            found: Incident = asyncio.run(desk.do(incident, wish, expect=version))
        except UnknownIncidentError:
            raise _unknown(incident) from None
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    silenced = f", silenced until {_when(found.silenced_until)}" if found.silenced_until is not None else ""
    part = f", part of {found.parent}" if found.parent is not None else ""
    typer.echo(f"{found.id} is {found.state}, owned by {safe(found.owner or 'nobody', 100)}{silenced}{part}")


def _me(by: str | None) -> str:
    """Return who does it."""
    return by or os.environ.get("MONITOR_USER") or getpass.getuser()


def _unknown(incident: str) -> typer.BadParameter:
    return typer.BadParameter(f"there is no incident {safe(incident, 40)!r}: see `monitor incident list --all`")


def _what(event: Event) -> str:
    """Return an event in a word or two."""
    word = re.sub(r"(?<!^)(?=[A-Z])", " ", type(event).__name__).lower()
    for name in ("owner", "parent", "child", "severity", "url", "into"):
        if value := getattr(event, name, None):
            return f"{word}: {value}"
    until = getattr(event, "until", None)
    if until is not None:
        return f"{word} until {_when(until)}" if until > event.at else "silence lifted"
    return word


def _page(row: dict[str, Any]) -> dict[str, Any]:
    """Return a page and what became of it, for people."""
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
