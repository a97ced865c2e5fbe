"""`monitor stories FILE -o FILE [--log FILE]` and `monitor stories show FILE`."""

from __future__ import annotations

import gzip
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from typer.core import TyperGroup

from monitor.story.ahead import AHEAD
from monitor.story.replay import Placed, Replay
from monitor.story.show import Summary, summarise, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitor.mention.mapping import Mapping
    from monitor.mention.model import Mention
    from monitor.sentiment.reading import Reading
    from monitor.sentiment.scorer import Scorer

CHUNK = AHEAD
PIPED = 120
"""Characters a line where the output is no terminal."""
NOW = 4_000_000_000.0
"""A file is read without a clock: every time up to 2096 is believable."""


class _FileFirst(TyperGroup):
    """Lets the file stand where a command would: `monitor stories FILE` is `monitor stories group FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `group` before what names no command."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["group", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FileFirst,
    help="Group a file of mentions into stories: `monitor stories FILE -o FILE [--log FILE]`; `show` prints them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Input = Annotated[Path, typer.Argument(help="JSON lines of mentions, plain or .gz.", exists=True, dir_okay=False)]
Brands = Annotated[
    Path | None, typer.Option("--brands", help="A brand file; without it the file is one umbrella.", exists=True)
]
MapName = Annotated[str | None, typer.Option("--map", help="A mapping's file, or the name of a packaged one.")]
Model = Annotated[
    str | None, typer.Option("--model", help="A folder of weights, a checkpoint, or `none`; default: the packaged.")
]


@app.command(hidden=True)
def group(
    file: Input,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where each mention's story goes.", dir_okay=False)],
    log: Annotated[Path | None, typer.Option("--log", help="Placements and merges as they happened.")] = None,
    brands: Brands = None,
    mapping: MapName = None,
    model: Model = None,
) -> None:
    """Group a file of mentions into stories."""
    placed: list[Placed] = []
    replay = _replay(brands)
    with ExitStack() as stack:
        sink = stack.enter_context(log.open("wb")) if log else None
        for event in _events(replay, file, mapping, model):
            if isinstance(event, Placed):
                placed.append(event)
                line = msgspec.json.encode({"id": event.id, "story": event.story})
            else:
                line = msgspec.json.encode({"merge": event.src, "into": event.into})
            if sink is not None:
                sink.write(line + b"\n")
    with out.open("wb") as rows:
        for row in placed:
            rows.write(msgspec.json.encode({"id": row.id, "story": replay.resolve(row.story)}) + b"\n")
    summaries = _summaries(replay)
    _beside(out).write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in summaries))
    counts = replay.counts
    stories = len({replay.resolve(row.story) for row in placed})
    sys.stderr.write(
        f"{counts.placed} mentions in {stories} stories; {counts.repeated} repeated, {counts.no_brand} of no brand, "
        f"{counts.dead} unreadable, {counts.edits} edits, {counts.deletes} deletes, {counts.orphans} of them orphans\n"
    )


@app.command()
def show(
    file: Annotated[
        Path, typer.Argument(help="Mentions, or what `monitor stories -o` wrote.", exists=True, dir_okay=False)
    ],
    top: Annotated[int, typer.Option("--top", help="So many stories, of each brand if --by-brand.", min=1)] = 20,
    brands: Brands = None,
    mapping: MapName = None,
    model: Model = None,
    *,
    by_brand: Annotated[bool, typer.Option("--by-brand", help="The biggest of each brand.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the biggest stories of a file."""
    stories = _stored(file)
    if stories is None:
        replay = _replay(brands)
        for _ in _events(replay, file, mapping, model):
            pass
        stories = _summaries(replay)
    shown = _biggest(stories, top, by_brand=by_brand)
    if as_json:
        for story in shown:
            sys.stdout.write(msgspec.json.encode(story).decode() + "\n")
        return
    console = Console() if sys.stdout.isatty() else Console(width=PIPED)
    console.print(table(shown) if shown else "no story has more than one mention")


def _biggest(stories: list[Summary], top: int, *, by_brand: bool) -> list[Summary]:
    if not by_brand:
        return stories[:top]
    of: dict[str, list[Summary]] = {}
    for story in stories:
        of.setdefault(story.brand, []).append(story)
    return [story for brand in sorted(of) for story in of[brand][:top]]


def _beside(out: Path) -> Path:
    return out.with_name(f"{out.name}.summary.jsonl")


def _stored(file: Path) -> list[Summary] | None:
    """Return the summaries that were written beside a grouping; None if `file` holds mentions."""
    with _opened(file) as lines:
        first = next((line for line in lines if line.strip()), b"{}")
    try:
        keys = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return None
    if not isinstance(keys, dict) or not {"id", "story"} >= set(keys) or "story" not in keys:
        return None
    beside = _beside(file)
    if not beside.exists():
        raise typer.BadParameter(f"{file} says only which mention is in which story, and {beside} is gone: "
                                 "show the file of the mentions instead")  # fmt: skip
    return [msgspec.json.decode(line, type=Summary) for line in beside.read_bytes().splitlines()]


def _summaries(replay: Replay) -> list[Summary]:
    return [summarise(story, tally) for story, tally in replay.grown() if story.size > 0]


def _replay(brands: Path | None) -> Replay:
    if brands is None:
        return Replay()
    from monitor.brand import BrandMatcher, BrandTree  # noqa: PLC0415 -- only where a tree is given

    return Replay(matcher=BrandMatcher(BrandTree.load(brands)))


def _events(replay: Replay, file: Path, mapping: str | None, model: str | None) -> Iterator[Any]:
    """Yield what happens, mention by mention. Texts are read in chunks; each mention is placed as it stands."""
    scorer = _scorer(model)
    for chunk in _chunks(_mentions(replay, file, mapping)):
        readings = _readings(scorer, chunk)
        replay.expect(chunk, readings)
        for mention, reading in zip(chunk, readings, strict=True):
            yield from replay.take(mention, reading)


def _scorer(model: str | None) -> Scorer | None:
    if model == "none":
        return None
    from monitor.sentiment import load_scorer  # noqa: PLC0415 -- loads the runtime

    return load_scorer(model, vectors=True)


def _readings(scorer: Scorer | None, chunk: list[Mention]) -> list[Reading | None]:
    if scorer is None:
        return [None] * len(chunk)
    return list(scorer.read([m.text for m in chunk], [m.lang for m in chunk]))


def _mentions(replay: Replay, file: Path, mapping: str | None) -> Iterator[Mention]:
    from monitor.mention.decode import Dead, decode  # noqa: PLC0415 -- quick --help
    from monitor.mention.mapping import Mapping  # noqa: PLC0415 -- the same

    mapped = Mapping.named(mapping) if mapping else None
    with _opened(file) as lines:
        for line in lines:
            if not line.strip():
                continue
            found = decode(_mapped(mapped, line), record_time=NOW)
            if isinstance(found, Dead):
                replay.counts.dead += 1
            else:
                yield found


def _mapped(mapping: Mapping | None, line: bytes) -> bytes:
    if mapping is None:
        return line
    try:
        thing = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    return msgspec.json.encode(mapping.apply(thing)) if isinstance(thing, dict) else line


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


def _chunks(mentions: Iterable[Mention]) -> Iterator[list[Mention]]:
    chunk: list[Mention] = []
    for mention in mentions:
        chunk.append(mention)
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
