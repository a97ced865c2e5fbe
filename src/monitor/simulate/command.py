"""`monitor simulate`: a simulated stream as JSON lines, and the truth about it as JSON."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 -- typer reads the types at run time
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer

from monitor.simulate.settings import DEMO, STORIES, Settings, StoryName
from monitor.simulate.simulation import Simulation

if TYPE_CHECKING:
    from typing import IO

LINES = 1_000
"""Lines that are written at once."""


def write_lines(simulation: Simulation, out: IO[bytes]) -> int:
    """Write the stream as JSON lines of Mention, version 1, and return how many there were."""
    encode = msgspec.json.Encoder().encode_into
    buffer, line, held, count = bytearray(), bytearray(), 0, 0
    for mention in simulation.mentions():
        encode(mention, line)
        buffer += line
        buffer += b"\n"
        held += 1
        if held == LINES:
            out.write(buffer)
            buffer.clear()
            count, held = count + held, 0
    out.write(buffer)
    return count + held


def truth_json(simulation: Simulation) -> bytes:
    """Return the truth as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(simulation.truth()), indent=2) + b"\n"


def simulate(
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same stream.")] = 0,
    days: Annotated[float, typer.Option(help="How many days.")] = 7.0,
    rate: Annotated[float, typer.Option(help="Mentions of ordinary chatter a day; stories come on top.")] = 1150.0,
    start: Annotated[str, typer.Option(help="The first moment, ISO 8601; UTC if no zone is given.")] = "2026-03-02",
    limit: Annotated[int | None, typer.Option(min=0, help="Stop after so many records.")] = None,
    stories: Annotated[
        str, typer.Option(help=f"Which stories, separated by commas; `all`, `none`, or of: {', '.join(STORIES)}.")
    ] = ",".join(DEMO),
    line: Annotated[int | None, typer.Option(help="The viral line in mentions; default: the brand file's.")] = None,
    plain: Annotated[  # noqa: FBT002 -- typer makes it the option --plain
        bool, typer.Option("--plain", help="No repeats, edits, deletes or noise: every record is a new mention.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; default: standard output.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write here which mention belongs to which story.")] = None,
) -> None:
    """Simulate mentions of a fictional hotel-and-airline group, as JSON lines in the order of time."""
    try:
        settings = Settings(
            start=_start(start), days=days, rate=rate, limit=limit, stories=_stories(stories), line=line
        )
        if plain:
            settings = msgspec.structs.replace(settings, repeats=0.0, edits=0.0, deletes=0.0, noise=0.0)
        simulation = Simulation(settings, seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        if output is None:
            write_lines(simulation, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with output.open("wb") as out:
                write_lines(simulation, out)
        if truth is not None:
            truth.write_bytes(truth_json(simulation))
    except BrokenPipeError:  # whoever read, `head` say, has read enough
        sys.stdout = None  # nothing is left to flush
        raise typer.Exit(0) from None
    except OSError as error:
        raise typer.BadParameter(f"cannot write {error.filename or 'the output'}: {error.strerror}") from error


def _start(text: str) -> datetime:
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"start is {text!r}: write it as 2026-03-02 or 2026-03-02T06:00:00Z") from None
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _stories(text: str) -> tuple[StoryName, ...]:
    if text in {"all", "none", ""}:
        return STORIES if text == "all" else ()
    return cast("tuple[StoryName, ...]", tuple(name.strip() for name in text.split(",")))  # Settings refuses others
