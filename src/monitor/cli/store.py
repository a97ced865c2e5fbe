"""`monitor store`: the schema, made and changed by hand or by a job before the workers start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from monitor.config import load
from monitor.store import Store
from monitor.store.migrate import current, downgrade, head

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration.", dir_okay=False)]


@app.command()
def migrate(
    config: Config = None,
    patience: Annotated[float, typer.Option(help="Seconds to wait for a store that is away.")] = 60.0,
) -> None:
    """Bring the schema up to this version. Workers do so too when they start; side by side is safe."""
    store = Store(load(config).store.url)
    try:
        before = current_or_wait(store, patience)
        asyncio.run(store.retry(store.migrate, patience_s=patience))
        typer.echo(f"schema {before or 'none'} -> {current(store)}")
    finally:
        store.close()


@app.command()
def show(config: Config = None) -> None:
    """Say which schema the store has and which one this version wants. Exit code 1 where they differ."""
    store = Store(load(config).store.url)
    try:
        has, wants = current_or_wait(store, 5.0), head()
    finally:
        store.close()
    typer.echo(f"the store has {has or 'none'}, this version wants {wants}")
    if has != wants:
        raise typer.Exit(1)


@app.command()
def back(
    revision: Annotated[str, typer.Argument(help="The schema's revision; `base` leaves nothing.")],
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what the older schema has no place for is lost.")] = False,  # noqa: FBT002 -- an option
) -> None:
    """Take the schema back to an older revision. Stop the workers and make a backup first."""
    if not yes:
        typer.echo("Stop the workers, make a backup, then say --yes: what the older schema has no place for is lost.")
        raise typer.Exit(2)
    store = Store(load(config).store.url)
    try:
        downgrade(store, revision)
        typer.echo(f"schema {current(store) or 'none'}")
    finally:
        store.close()


def current_or_wait(store: Store, patience: float) -> str | None:
    """Return the store's revision, waiting for a store that is away."""
    return asyncio.run(store.retry(lambda: current(store), patience_s=patience))
