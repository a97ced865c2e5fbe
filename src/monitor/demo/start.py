"""Starts the demo: the workers first, so that they get ready while the demo's own process is still importing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from monitor.demo.stage import Stage, new_secret

LOG_WIDTH = 100
SIMULATED_BRANDS = Path(__file__).parents[1] / "simulate" / "brands.yaml"


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `make demo` may say."""

    input: Path | None = None
    mapping: str | None = None
    brands: Path | None = None
    seed: int = 3
    summary: Path | None = None
    folder: Path = Path("demo-data")


def run(options: DemoOptions) -> int:
    """Run the demo; returns 0 if every mention was accounted for and no page came twice.

    Raises:
        DemoError: it did not come to its end.
    """
    began = time.monotonic()
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)  # a log has no edge: do not break pages at an assumed one
    what = f"a simulated week (seed {options.seed})" if options.input is None else str(options.input)
    console.print(
        f"Starting broker, store, workers (score, watch, dispatch) and receiver; replaying {what}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    brands = options.brands or (None if options.input else SIMULATED_BRANDS)
    with socket.create_server(("127.0.0.1", 0)) as listen:
        webhook = f"http://127.0.0.1:{listen.getsockname()[1]}/pages"
        stage = Stage.build(options.folder, webhook=webhook, secret=new_secret(), brands=brands)
        try:
            stage.settle()
            from monitor.demo.main import play  # noqa: PLC0415 -- while score waits for its partitions

            return play(options, stage, listen, console, began)
        finally:
            stage.stop()
