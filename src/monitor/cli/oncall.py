"""`monitor oncall now|show|check|export|import`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML

from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.config import RouteError, directory_of, find, load
from monitor.escalation.wording import lasting
from monitor.mention import FileError, safe
from monitor.oncall import OnCallFileError, load_oncall
from monitor.oncall.calendar import CalendarError, export, read
from monitor.oncall.rota import joined, moment

if TYPE_CHECKING:
    from monitor.oncall import OnCall, Rota

app = typer.Typer(help="Show who is on call, check the on-call file, exchange it with calendars.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
At = Annotated[str | None, typer.Option(help="At this moment, as in 2026-12-24T18:00+01:00; default: now.")]
File = Annotated[
    Path | None, typer.Argument(help="The on-call file; default: the configuration's.", exists=True, dir_okay=False)
]


@app.command()
def now(config: Config = None, at: At = None, *, as_json: AsJson = False) -> None:
    """Show who is on call now, and when that changes next."""
    moment_ = _moment(at)
    oncall = _oncall(config, moment_)
    rows = [_row(rota, moment_) for rota in oncall.rotas.values()]
    if as_json:
        typer.echo(msgspec.json.encode({"at": moment_, "rotas": rows}))
        return
    table = Table("rota", "on call", "by", "until", "then")
    for row in rows:
        until = f"{_wall(row['until'], row['zone'])} ({lasting(row['until'] - moment_)})" if row["until"] else "no end"
        cells = (row["rota"], row["person"] or "nobody", row["by"], until, row["then"] or "")
        table.add_row(*(Text(safe(str(cell), 100)) for cell in cells))
    Console().print(table)


@app.command()
def show(
    rota: Annotated[str | None, typer.Argument(help="Only this rota.")] = None,
    config: Config = None,
    at: At = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="So many days.")] = 14,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the shifts that come, and the ladders."""
    start = _moment(at)
    oncall = _oncall(config, start)
    rotas = [_named(oncall, rota)] if rota is not None else list(oncall.rotas.values())
    shifts = {one.name: joined(one.shifts(start, start + days * 86_400.0)) for one in rotas}
    ladders: dict[str, list[dict[str, Any]]] = {
        name: [{"to": to, "wait_s": wait, "step": said} for to, wait, said in ladder.steps()]
        for name, ladder in oncall.ladders.items()
    }
    if as_json:
        typer.echo(msgspec.json.encode({"rotas": shifts, "ladders": ladders if rota is None else {}}))
        return
    for one in rotas:
        table = Table("from", "to", "on call", "by", title=f"{one.name} ({one.zone})")
        for shift in shifts[one.name]:
            cells = (_wall(shift.start, one.zone), _wall(shift.end, one.zone), shift.person or "nobody", shift.by)
            table.add_row(*(Text(safe(cell, 100)) for cell in cells))
        Console().print(table)
    if rota is None:
        for name, steps in ladders.items():
            table = Table("step", "who", "waits", title=f"ladder {name}")
            for step in steps:
                wait = "" if step["wait_s"] is None else lasting(step["wait_s"])
                table.add_row(str(step["step"]), Text(safe(", ".join(step["to"]), 200)), wait)
            Console().print(table)


@app.command()
def check(
    file: File = None,
    config: Config = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read an on-call file and say what is wrong with it, with line and mend; exit code 1 if anything is."""
    start = _moment(at)
    try:
        if file is None:
            found = directory_of(_settings(config), now=start).oncall
        else:
            settings = load(config) if config is not None or find(None) is not None else None
            people = frozenset(one.name for one in settings.recipients) if settings and settings.recipients else None
            found = load_oncall(file, people, start)
    except (OnCallFileError, RouteError, FileError) as error:
        problems = getattr(error, "problems", (str(error),))
        if as_json:
            typer.echo(msgspec.json.encode({"ok": False, "problems": problems}))
        else:
            sys.stderr.write("".join(f"{problem}\n" for problem in problems))
        raise typer.Exit(1) from error
    figures = {"rotas": len(found.rotas), "teams": len(found.teams), "ladders": len(found.ladders)}
    if as_json:
        typer.echo(msgspec.json.encode({"ok": True, **figures}))
        return
    said = ", ".join(f"{number} {name}" for name, number in figures.items())
    typer.echo(f"{said}; somebody is on call at every moment of the next 400 days")


@app.command("export")
def export_(
    rota: Annotated[str, typer.Argument(help="The rota.")],
    config: Config = None,
    at: At = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="So many days.")] = 90,
    out: Annotated[Path | None, typer.Option(help="Write here; default: standard output.", dir_okay=False)] = None,
) -> None:
    """Write a rota's shifts as an iCalendar file."""
    start = _moment(at)
    data = export(_named(_oncall(config, start), rota), start, start + days * 86_400.0, stamp=start)
    if out is None:
        typer.echo(data.decode(), nl=False)
    else:
        out.write_bytes(data)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An iCalendar file.", exists=True, dir_okay=False)],
    zone: Annotated[str, typer.Option(help="The rota's time zone.")] = "UTC",
    at: At = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="So many days.")] = 90,
) -> None:
    """Print a calendar's shifts as a rota's overrides; a layer can also read it itself, by `calendar: FILE`."""
    start = _moment(at)
    try:
        events = read(file.read_bytes(), zone, start, start + days * 86_400.0)
    except CalendarError as error:
        sys.stderr.write(f"{file}: {error}\n")
        raise typer.Exit(1) from error
    rows = [
        {"person": person, "from": _wall(begin, zone), "to": _wall(end, zone)}
        for begin, end, person in events
        if end > start
    ]
    YAML().dump({"overrides": rows}, sys.stdout)


def _row(rota: Rota, at: float) -> dict[str, Any]:
    person, by = rota.turn(at)
    following = rota.next_change(at)
    return {
        "rota": rota.name,
        "zone": rota.zone,
        "person": person,
        "by": by,
        "until": following.start if following else None,
        "then": (following.person or "nobody") if following else None,
    }


def _settings(config: Path | None) -> Any:
    settings = load(config)
    if settings.oncall is None:
        raise typer.BadParameter("the configuration names no on-call file: add `oncall: oncall.yaml`")
    return settings


def _oncall(config: Path | None, at: float) -> OnCall:
    """Read the file as it counts now; what is shown of another moment may well have nobody."""
    return directory_of(_settings(config), now=max(at, time.time())).oncall


def _named(oncall: OnCall, rota: str) -> Rota:
    if rota not in oncall.rotas:
        raise typer.BadParameter(f"there is no rota {rota!r}; known: {', '.join(oncall.rotas) or 'none'}")
    return oncall.rotas[rota]


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no moment: write 2026-12-24T18:00+01:00", param_hint="--at") from error
    return found.timestamp() if found.tzinfo is not None else moment(found, ZoneInfo("UTC"))


def _wall(at: float, zone: str) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
