"""`monitor rules check|list|test|shadow`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.brand import BrandTree
from monitor.cli import Config  # noqa: TC001 -- typer reads the types at run time
from monitor.cli.opened import opened
from monitor.config import find, load
from monitor.escalation.language import Condition
from monitor.escalation.rulefile import RuleFileError, load_rules, span
from monitor.escalation.ruletest import run_tests
from monitor.escalation.types import KINDS
from monitor.escalation.wording import lasting
from monitor.mention import safe
from monitor.store.shadows import compare

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.escalation.rules import Rule, RuleSet

app = typer.Typer(help="Check, test and compare the rules that open incidents.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RuleFile = Annotated[
    Path | None, typer.Argument(help="The rule file; default: the configuration's.", exists=True, dir_okay=False)
]
Brands = Annotated[Path | None, typer.Option(help="The brand file; default: the configuration's.", exists=True)]


@app.command()
def check(file: RuleFile = None, brands: Brands = None, config: Config = None, *, as_json: AsJson = False) -> None:
    """Read a rule file and say what is wrong with it, with line and mend; exit code 1 if anything is."""
    try:
        rules = _rules(file, brands, config)
    except RuleFileError as error:
        if as_json:
            typer.echo(msgspec.json.encode({"ok": False, "problems": error.problems}))
        else:
            sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        raise typer.Exit(1) from error
    found = rules.everything
    if as_json:
        typer.echo(msgspec.json.encode({"ok": True, "version": rules.version, "rules": [one.name for one in found]}))
        return
    shadows = sum(rule.shadow for rule in found)
    typer.echo(f"{rules.version}: {len(found)} rules, {shadows} of them shadows; nothing to mend")


@app.command("list")
def list_(
    file: RuleFile = None,
    brands: Brands = None,
    config: Config = None,
    brand: Annotated[str | None, typer.Option(help="As they count for this brand.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the rules, as they count for everyone or for one brand."""
    rules = _rules(file, brands, config)
    shown = _of(rules, brand) if brand is not None else [*rules.rules, *rules.shadows]
    rows = [_row(rule) for rule in shown]
    if as_json:
        typer.echo(msgspec.json.encode({"version": rules.version, "rules": rows}))
        return
    console = Console()
    console.print(Text(rules.version), highlight=False)
    for row in rows:
        severity = f"{row['action']} {row['severity']}" if row["action"] != "open" else row["severity"]
        held = f"held for {lasting(float(row['hold_s']))}" if row["hold_s"] else "at once"
        route = f"route {row['route']}" if row["route"] else ""
        shadow = "shadow" if row["shadow"] else ""
        about = (severity, shadow, " or ".join(row["kinds"]), held, route)
        line = Text(safe(str(row["name"]), 80), style="bold")
        line.append("  " + safe(", ".join(filter(None, about)), 200), style="not bold")
        console.print()
        console.print(line)
        # On lines of its own, for no column is wide enough for a condition.
        console.print(Padding(Text(safe(str(row["when"]), 2000), style="dim"), (0, 0, 0, 4), expand=False))


@app.command("test")
def run_(
    files: Annotated[list[Path], typer.Argument(help="Files of tests.", exists=True, dir_okay=False)],
    rules: Annotated[Path | None, typer.Option(help="Test this rule file.", exists=True, dir_okay=False)] = None,
    brands: Brands = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Run rule tests: a story's timeline in, the decisions compared; exit code 1 if a test fails."""
    tree = BrandTree.load(brands) if brands is not None else None
    outcomes = [(file, outcome) for file in files for outcome in run_tests(file, rules, tree)]
    failed = [outcome for _, outcome in outcomes if outcome.problems]
    if as_json:
        typer.echo(msgspec.json.encode([{"file": str(file), "test": outcome} for file, outcome in outcomes]))
    else:
        for _, outcome in outcomes:
            typer.echo(f"{'FAILED' if outcome.problems else 'passed'}  {outcome.name}")
            for problem in outcome.problems:
                typer.echo(f"        {problem}")
        typer.echo(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def shadow(
    config: Config = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    since: Annotated[str, typer.Option(help="How far back, as in 12h or 7d.")] = "7d",
    *,
    as_json: AsJson = False,
) -> None:
    """Compare what shadow rules would have paged with what the live rules paged."""
    seconds = span(since)
    if seconds is None:
        raise typer.BadParameter(f"{since!r} is no duration: write 12h or 7d", param_hint="--since")
    settings = load(config)
    start = 0.0 if settings.time.mode == "replay" else time.time() - seconds
    with opened(settings) as store:
        reports = compare(store, since=start, rule=rule)
    if as_json:
        typer.echo(msgspec.json.encode(reports))
        return
    if not reports:
        typer.echo("no shadow rule has decided anything: mark a rule with `shadow: true`, and wait for stories")
        return
    for report in reports:
        both, alone = len(report.both), len(report.only_shadow)
        typer.echo(
            f"{report.rule} ({', '.join(report.versions)}): would have paged {both + alone} stories, {both} of which "
            f"the live rules paged too; the live rules alone paged {len(report.only_live)}; {report.quiet} notices"
        )
        table = Table("when", "story", "brand", "severity", "live page", "reason")
        for one in (*report.both, *report.only_shadow):
            cells = (_when(one.at), one.story, one.brand, one.severity, _live(one.earlier_s), one.reason)
            table.add_row(*(Text(safe(cell, 200)) for cell in cells))
        Console().print(table)


def _live(earlier_s: float | None) -> str:
    if earlier_s is None:
        return "none"
    return f"{lasting(earlier_s)} later" if earlier_s >= 0 else f"{lasting(-earlier_s)} earlier"


def _rules(file: Path | None, brands: Path | None, config: Path | None) -> RuleSet:
    """Read the rules as named here, or as the configuration does; with the brands and routes that it knows."""
    settings: Settings | None = load(config) if config is not None or find(None) is not None else None
    used = file or (settings.rules if settings else None)
    tree_file = brands or (settings.brands if settings else None)
    tree = BrandTree.load(tree_file) if tree_file is not None else None
    routes = {route.name for route in settings.routes if route.name} if settings is not None else None
    return load_rules(used, tree, routes)


def _of(rules: RuleSet, brand: str) -> list[Rule]:
    found: list[Rule] = []
    for kind in KINDS:
        scope = rules.scope(kind, brand, brand)
        found += [rule for rule in (*scope.rules, *scope.shadows) if rule not in found]
    return found


def _row(rule: Rule) -> dict[str, Any]:
    when = rule.condition.source if isinstance(rule.condition, Condition) else ""
    return {
        "name": rule.name,
        "severity": rule.severity,
        "action": rule.action,
        "kinds": rule.kinds,
        "hold_s": rule.hold_s,
        "route": rule.route,
        "shadow": rule.shadow,
        "when": when,
    }


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
