"""The front door: the command `monitor`. Each command imports what it needs when it runs, so that `--help` is quick."""

# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(
    name="monitor",
    help="Reads public mentions, forecasts which complaint will spread, and pages the right person before it does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 -- a callback of typer's
    if wanted:
        from monitor import __version__

        typer.echo(f"monitor {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    """Take what stands before the command."""


@app.command()
def broker(
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Run the embedded broker in the foreground, on the loopback address; it forgets everything when it stops."""
    from monitor.stream.embedded import run

    run(port)


def main() -> None:
    """Run the command line; an error of our own ends in one line that says what to do, and exit code 2."""
    try:
        app()
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "monitor":
            raise
        sys.stderr.write(f"monitor: {error}\n")
        sys.exit(2)
