"""The front door: the command `monitor`. Each command imports what it needs when it runs, so that `--help` is quick."""

# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import gc
import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    name="monitor",
    help="Reads public mentions, forecasts which complaint will spread, and pages the right person before it does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GC_OBJECTS = 20_000
"""Objects made (less those freed) between two looks for cycles. With Python's own 700 these looks take a sixth of a
command's start and a tenth of the watching worker's time: a batch makes thousands that live on, and hardly a cycle."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration; default: $MONITOR_CONFIG, then ./monitor.yaml.", dir_okay=False
    ),
]


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


@app.command(rich_help_panel="Workers")
def score(config: Config = None) -> None:
    """Read mentions from Kafka, understand them, send readings on."""
    from monitor.config import load
    from monitor.stream.score_worker import run

    run(load(config))


@app.command(rich_help_panel="Workers")
def watch(config: Config = None) -> None:
    """Group readings into stories, judge them, open incidents."""
    from monitor.config import load
    from monitor.stream.watch_worker import run

    run(load(config))


@app.command(rich_help_panel="Workers")
def dispatch(config: Config = None) -> None:
    """Deliver pages."""
    from monitor.config import load
    from monitor.page.worker import run

    run(load(config))


@app.command(rich_help_panel="Workers")
def serve(config: Config = None) -> None:
    """Serve the API, and what the links on pages lead to."""
    from monitor.config import load
    from monitor.console.worker import run

    run(load(config))


@app.command(rich_help_panel="Try it")
def demo(
    input: Annotated[Path | None, typer.Option(help="JSON lines of mentions, plain or .gz.", exists=True)] = None,  # noqa: A002 -- the option's name
    mapping: Annotated[
        str | None, typer.Option("--map", help="A mapping's file, or the name of a packaged one.")
    ] = None,
    brands: Annotated[Path | None, typer.Option(help="A brand file.", exists=True)] = None,
    seed: Annotated[int, typer.Option(help="Which week to simulate.")] = 3,
    summary: Annotated[Path | None, typer.Option(help="Write the summary here, as JSON.")] = None,
) -> None:
    """Run the whole product on a stream replayed far faster than life, and show what happens."""
    from monitor.demo import DemoOptions, run

    raise typer.Exit(run(DemoOptions(input=input, mapping=mapping, brands=brands, seed=seed, summary=summary)))


@app.command(rich_help_panel="Operate")
def doctor(config: Config = None) -> None:
    """Check the configuration and everything that it names, and say what to do."""
    from monitor.doctor import run

    raise typer.Exit(run(config))


@app.command(rich_help_panel="Operate")
def broker(
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Run the embedded broker in the foreground, on the loopback address; it forgets everything when it stops."""
    from monitor.stream.embedded import run

    run(port)


def _delegate(name: str, target: str, about: str, panel: str) -> None:
    """Register a command that another module has: a function, or an app with commands of its own.

    The module is imported when the command is called, its help included.
    """

    def call(ctx: typer.Context) -> None:
        module, _, attribute = target.partition(":")
        found: Any = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)  # get_command would offer a completion of its own
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(found)
            command = typer.main.get_command(alone)
        code = command.main(args=ctx.args, prog_name=f"monitor {name}", standalone_mode=False)
        if code:
            raise typer.Exit(code)

    raw = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(name, help=about, context_settings=raw, rich_help_panel=panel)(call)


_delegate("dead", "monitor.cli.dead:app", "Show or send again what could not be read.", "Operate")
_delegate("offsets", "monitor.cli.offsets:app", "Show where reading goes on, or start anew.", "Operate")
_delegate("store", "monitor.cli.store:app", "Make or change the store's schema.", "Operate")
_delegate("incident", "monitor.cli.incidents:app", "Show incidents, and say what is done about them.", "Operate")
_delegate("page", "monitor.cli.pages:app", "Send a test page.", "Operate")
_delegate("rules", "monitor.cli.rules:app", "Check, test and compare the rules.", "Rules and on-call")
_delegate("oncall", "monitor.cli.oncall:app", "Show who is on call, check and exchange rotas.", "Rules and on-call")
_delegate("replay", "monitor.cli.replay:replay", "Publish a file of mentions with its own time.", "Data and models")
_delegate("simulate", "monitor.simulate.command:simulate", "Simulate a stream of mentions.", "Data and models")
_delegate("read", "monitor.sentiment.cli:read", "Read a file of mentions with the model.", "Data and models")
_delegate("stories", "monitor.story.cli:app", "Group a file of mentions into stories.", "Data and models")
_delegate("spread", "monitor.spread.cli:app", "Train the forecasts.", "Data and models")
_delegate(
    "bench", "monitor.spread.cli:benches", "Replay public series and cascades for their scorers.", "Data and models"
)
_delegate("model", "monitor.sentiment.cli:model_app", "Make and measure the model.", "Data and models")


EXTRAS = {"apprise": "apprise", "psycopg": "postgres", "torch": "train", "transformers": "train"}


def main() -> None:
    """Run the command line; what a user can mend ends in a line that says how, and exit code 2."""
    gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
    logging.getLogger().addHandler(logging.NullHandler())  # what a library has to say, our own errors say better
    try:
        app(prog_name="monitor")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(str(error.name).partition(".")[0])
        if extra is None:
            raise
        _refuse(f"{error.name} is not installed: pip install 'mention-monitor[{extra}]'")
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "monitor":
            raise
        _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"monitor: {why}\n")
    sys.exit(2)
