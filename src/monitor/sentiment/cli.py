"""The command-line side of the room: `monitor model train|evaluate` and `monitor read`."""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from monitor.mention.yamlfile import FileError
from monitor.sentiment.cpu import Wanted
from monitor.sentiment.errors import ModelError
from monitor.sentiment.scorer import load_scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.sentiment.reading import Reading

model_app = typer.Typer(add_completion=False, help="Make and measure the model.", no_args_is_help=True)
CHUNK: Final = 512
DataFolder = Annotated[
    Path, typer.Option("--data", help="The folder of the labelled sets.", exists=True, file_okay=False)
]
ModelName = Annotated[
    str | None, typer.Option("--model", help="A folder of weights or a Hugging Face checkpoint; default: the packaged.")
]
Runtime = Annotated[
    Wanted, typer.Option("--runtime", help="How weights are run; auto: eight bits where the CPU is made for them.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; default: every core.")]


def _stop(problem: str) -> typer.Exit:
    Console(stderr=True).print(problem, style="red", markup=False, highlight=False)
    return typer.Exit(2)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@model_app.command()
def train(
    data: DataFolder,
    out: Annotated[Path, typer.Option("--out", help="Where the weights go.", file_okay=False)],
    base: Annotated[
        Path | None, typer.Option("--base", help="The base encoder's folder; default: its package.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="The teacher's folder, all-mpnet-base-v2; default: its packages.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Make the weights again from the labelled sets; killed and started again, it goes on where it was."""
    try:
        from monitor.sentiment.training.run import make_weights  # noqa: PLC0415 -- torch, only where it is needed
    except ImportError as gone:
        raise _stop("Training needs torch: pip install 'mention-monitor[train]'.") from gone
    with _progress() as bar:
        job = bar.add_task("training", total=None)

        def tell(step: int, steps: int, loss: float, apart: float) -> None:
            bar.update(
                job, completed=step, total=steps, description=f"loss {loss:.3f}, story vector off by {apart:.3f}"
            )

        try:
            card = make_weights(data, out, base=base, teacher=teacher, threads=threads, tell=tell)
        except (ModelError, FileNotFoundError) as problem:
            raise _stop(str(problem)) from problem
    typer.echo(f"{card.name} in {out}")


@model_app.command()
def evaluate(
    data: DataFolder,
    model: ModelName = None,
    threads: Threads = None,
    runtime: Runtime = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,  # noqa: FBT002 -- a flag
) -> None:
    """Print how right and how calibrated the model is, set by set, on the public parts."""
    from monitor.sentiment.evaluate import evaluate as figures  # noqa: PLC0415 -- only this command needs it

    try:
        scorer = load_scorer(model, threads=threads, runtime=runtime, cache_bytes=0)
        table = Table(title=f"{scorer.name}, {scorer.runtime}")
        for heading in ("set", "measure", "value", "floor", "rows"):
            table.add_column(heading, justify="left" if heading in {"set", "measure"} else "right")
        for one in figures(scorer, data):
            floor = "" if one.floor is None else f"{one.floor:.3f}"
            table.add_row(one.data, one.measure, f"{one.value:.3f}", floor, str(one.rows))
            if as_json:
                typer.echo(json.dumps({name: getattr(one, name) for name in one.__struct_fields__}))
    except (ModelError, FileNotFoundError) as problem:
        raise _stop(str(problem)) from problem
    if not as_json:
        Console().print(table)


def read(
    file: Annotated[Path, typer.Argument(help="JSON lines of mentions, plain or .gz.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the same lines go, each with its `reading`.")],
    vectors: Annotated[Path | None, typer.Option("--vectors", help="Also write the vectors, one row a line.")] = None,
    causes: Annotated[
        str, typer.Option("--causes", help="A file of causes, or travel, retail or software.")
    ] = "travel",
    model: ModelName = None,
    threads: Threads = None,
    runtime: Runtime = "auto",
) -> None:
    """Read a file of mentions: the same lines in the same order, each with `reading`."""
    rows = _mentions(file)
    try:
        scorer = load_scorer(model, threads=threads, runtime=runtime, vectors=vectors is not None, causes=causes)
    except (ModelError, FileError) as problem:
        raise _stop(str(problem)) from problem
    kept: list[bytes] = []
    with _progress() as bar, _written(out, "wt") as sink:
        for row, reading in zip(
            rows, bar.track(_readings(scorer, rows), total=len(rows), description="reading"), strict=True
        ):
            sink.write(json.dumps({**row, "reading": shown(reading)}, ensure_ascii=False) + "\n")
            kept.append(reading.vector or b"")
    if vectors is not None:
        width = max(map(len, kept), default=0) // 2
        table = np.zeros((len(kept), width), np.float16)
        for index, vector in enumerate(kept):
            if vector:
                table[index] = np.frombuffer(vector, "<f2")
        with _written(vectors, "wb") as sink:
            np.save(sink, table)
    print(f"{len(rows)} mentions read by {scorer.name}, {scorer.runtime}", file=sys.stderr)  # noqa: T201 -- the command's last word


def _mentions(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        with _open(file, "rt", file) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as broken:
                    raise _stop(f"{file}:{number}: not JSON ({broken}).") from broken
                if not isinstance(row, dict):
                    raise _stop(f"{file}:{number}: a mention is a JSON object.")
                rows.append(row)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as broken:
        raise _stop(f"{file} cannot be read ({broken}).") from broken
    return rows


def _readings(scorer: Any, rows: list[dict[str, Any]]) -> Iterator[Reading]:
    for at in range(0, len(rows), CHUNK):
        part = rows[at : at + CHUNK]
        texts = [row["text"] if isinstance(row.get("text"), str) else "" for row in part]
        langs = [row["lang"] if isinstance(row.get("lang"), str) else None for row in part]
        yield from scorer.read(texts, langs)


def shown(reading: Reading) -> dict[str, Any]:
    """Return a reading as `monitor read` writes it: the field's names and order are stable."""
    felt, cause = reading.sentiment, reading.cause
    out: dict[str, Any] = {
        "sentiment": felt
        and {
            "negative": round(felt.negative, 6),
            "neutral": round(felt.neutral, 6),
            "positive": round(felt.positive, 6),
            "label": felt.label,
        },
        "complaint": None if reading.complaint is None else round(reading.complaint, 6),
        "cause": cause and {"id": cause.id, "p": round(cause.p, 6), "best": cause.best},
        "lang": reading.lang,
        "model": reading.model,
    }
    if reading.unread is not None:
        out["unread"] = reading.unread
    return out


@contextmanager
def _written(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Open what takes the place of `path` when it is whole; what is no file, a pipe or a device, is written to itself.

    Raises:
        typer.Exit: it can't be written; what stood there before stands there still.
    """
    place = path.resolve()
    draft = place.with_name(f".{place.name}.new") if place.is_file() or not place.exists() else place
    try:
        with _open(draft, mode, path) as sink:
            yield sink
        if draft != place:
            os.replace(draft, place)  # noqa: PTH105 -- atomic on every platform
    except OSError as refused:
        raise _stop(f"{path} cannot be written: {refused.strerror}.") from refused
    finally:
        if draft != place:
            draft.unlink(missing_ok=True)


def _open(path: Path, mode: str, named: Path) -> IO[Any]:
    """Open `path` as what the file `named` is by its name: gzip or not."""
    if "b" in mode:
        return path.open(mode)
    if named.suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8")  # type: ignore[return-value]
    return path.open(mode, encoding="utf-8")
