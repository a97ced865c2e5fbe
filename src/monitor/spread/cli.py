"""The room's commands: `monitor spread train` and `monitor bench spread nab|cascades`. Mounted by the front door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from monitor.spread.cascades import Cascade, judge, read_cascades
from monitor.spread.forecast import Forecaster, packaged, read_models, write_models
from monitor.spread.heldout import Trial
from monitor.spread.series import write_alerts
from monitor.spread.train import BUDGETS, Recipe, train_general, train_platform

app = typer.Typer(help="How stories spread: train the forecasts.", no_args_is_help=True)
bench = typer.Typer(help="Replay public series and cascades for the benchmark's scorers.", no_args_is_help=True)

PLATFORMS = {
    "twitter": Recipe(rate_weight=0.0, calm=True, importance=0.3, extremes=0.0),
    "weibo": Recipe(rate_weight=0.25, calm=False, importance=0.2, extremes=0.25),
}
"""What has a benchmark."""

OTHERS = ("tideh", "auspol", "url_twitter2010")
"""Further public cascades that the general forecaster learns from."""

DEFAULT_LINES = {"twitter": 1285.0, "weibo": 781.0}
"""Viral lines of the benchmark: the 95th percentile of the final size on its public part."""

Data = Annotated[Path, typer.Option(exists=True, help="Where the public data lie (searched for *.jsonl.gz).")]
Out = Annotated[Path, typer.Option(help="The file to write.")]


@app.callback()
def _spread() -> None:
    """How stories spread: train the forecasts."""


@app.command()
def train(
    data: Data,
    out: Out,
    only: Annotated[str, typer.Option(help="Train this one, keep the others.")] = "",
    check: Annotated[
        Path | None, typer.Option(help="A folder for what was forecast out of fold, as the scorer reads it.")
    ] = None,
) -> None:
    """Train the forecasters on public cascades and write them to one small file: the same data, the same bytes."""
    models: dict[str, Forecaster] = read_models(out.read_bytes()) if only else {}
    found = {path.name.removesuffix(".jsonl.gz"): path for path in sorted(data.rglob("*.jsonl.gz"))}
    missing = [name for name in (*PLATFORMS, *OTHERS) if name not in found]
    if missing:
        raise typer.BadParameter(f"no {', '.join(f'{name}.jsonl.gz' for name in missing)} below {data}")
    sets: dict[str, list[Cascade]] = {name: list(read_cascades(found[name])) for name in (*PLATFORMS, *OTHERS)}
    for name, recipe in PLATFORMS.items():
        if only in {"", name}:
            typer.echo(f"{name}: {len(sets[name])} cascades")
            models[name], rows = train_platform(sets[name], recipe, typer.echo)
            if check is not None:
                _write_trial(Trial(sets[name], *rows, recipe), name, check)
    if only in {"", "general"}:
        typer.echo(f"general: {sum(len(some) for some in sets.values())} cascades")
        models["general"] = train_general(list(sets.values()), typer.echo)
    out.write_bytes(write_models(models))
    typer.echo(f"wrote {out}, {out.stat().st_size // 1024} KB")


def _write_trial(trial: Trial, name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for budget in BUDGETS:
        with (folder / f"{name}-{budget}.jsonl").open("w") as lines:
            for row in trial.lines(budget, DEFAULT_LINES[name]):
                lines.write(json.dumps(row) + "\n")


@bench.command()
def nab(data: Data, out: Out) -> None:
    """Replay every CSV of counts in a folder; write one CSV of alerts for each."""
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted(data.glob("*.csv"))
    if not sources:
        raise typer.BadParameter(f"no CSV files in {data}")
    for source in sources:
        typer.echo(f"{source.name}: {write_alerts(source, out / source.name)} alerts")


@bench.command()
def cascades(
    data: Data,
    out: Out,
    platform: Annotated[str, typer.Option(help="twitter or weibo: whose forecaster and thresholds.")],
    budget: Annotated[float, typer.Option(help="Share of false alarms: 0.01 or 0.05.")] = 0.01,
    line: Annotated[float, typer.Option(help="Reposts that make a cascade viral; 0 for the benchmark's.")] = 0.0,
) -> None:
    """Replay cascades in time order; write for each when it was alarmed and what was forecast."""
    if platform not in PLATFORMS:
        raise typer.BadParameter(f"no platform {platform!r}; there are {', '.join(PLATFORMS)}")
    forecaster = packaged(platform)
    alarms = total = 0
    with out.open("w") as lines:
        for cascade in read_cascades(data):
            row = judge(cascade, forecaster, budget, line or DEFAULT_LINES[platform])
            lines.write(json.dumps(row) + "\n")
            total += 1
            alarms += row["alert_time"] is not None
    typer.echo(f"{total} cascades, {alarms} alarms, at a budget of {budget:.0%} false ones")


benches = typer.Typer(help="Benchmarks on public data.", no_args_is_help=True, add_completion=False)
benches.add_typer(bench, name="spread")
