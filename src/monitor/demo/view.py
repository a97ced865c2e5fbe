"""What the demo shows while it runs: how far it is, which stories grow, and each page as its reader gets it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitor.mention.text import safe

if TYPE_CHECKING:
    from monitor.demo.receiver import Received
    from monitor.store import Account

PLAIN_EVERY_S = 5.0
PAGE_WIDTH = 84
"""A page is 80 columns wide; a frame takes four."""


class View:
    """Shows progress on a terminal as a live picture, elsewhere as a line now and then. Pages are printed in full."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._said_at = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text))

    def page(self, page: Received) -> None:
        """Print a page as its reader gets it."""
        data = page.body["data"]
        colour = {"crisis": "bold red", "page": "red", "notify": "yellow"}.get(data["severity"], "blue")
        title = (
            f"{data['purpose']} page to {data['recipient']}"
            if data["severity"] != "notify"
            else (f"notice to {data['recipient']}")
        )
        body = Panel(Text(data["text"]), title=Text(safe(title, 70)), border_style=colour, width=PAGE_WIDTH)
        narrow = self._console.width < PAGE_WIDTH
        self._console.print(Text(f"--- {title}\n{data['text']}") if narrow else body)

    def progress(self, account: Account, published: int, event_time: float, stories: list[Any]) -> None:
        """Show how far it is."""
        elapsed = time.monotonic() - self._began
        at = datetime.fromtimestamp(event_time, tz=UTC).strftime("%a %d %b %H:%M") if event_time else "starting"
        line = (
            f"{at}   {account.total:,} mentions read of {published:,} published, "
            f"{account.total / elapsed if elapsed else 0.0:,.0f}/s   {elapsed:,.0f} s"
        )
        if self._live is None:
            now = time.monotonic()
            if now - self._said_at >= PLAIN_EVERY_S and event_time:
                self._said_at = now
                self.say(line)
            return
        table = Table(box=None, width=84, padding=(0, 1), title="Stories that grow", title_justify="left")
        table.add_column("voices", justify="right")
        table.add_column("mentions", justify="right")
        table.add_column("brand", width=18, no_wrap=True)
        table.add_column("what people say", no_wrap=True)
        for row in stories:
            table.add_row(str(row.voices), str(row.size), Text(safe(row.brand, 18)), Text(safe(row.headline, 46)))
        self._live.update(Group(Text(line, style="bold"), table))
