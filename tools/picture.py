"""Draws the README's picture: the first page that a demo sent, as its reader gets it.

monitor demo && python tools/picture.py demo-data/monitor.sqlite docs/page.svg
"""

from __future__ import annotations

import io
import sqlite3
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from monitor.page.render import render
from monitor.page.types import Page

WIDTH = 84
FORMAT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" class="rich-terminal">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="#1b1f24"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""
"""Rich's own template loads a font from elsewhere; this one takes what the reader has."""


def main(store: Path, picture: Path) -> None:
    """Draw the first page of a store."""
    with sqlite3.connect(store) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute(
            "select * from outbox where purpose = 'first' and severity in ('page', 'crisis') order by decided_at"
        ).fetchone()
    names = {field.name for field in msgspec.structs.fields(Page)} & set(row.keys())
    values = {name: row[name] for name in names} | {"facts": msgspec.json.decode(row["facts"])}
    page = msgspec.convert(values, Page, strict=False)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Panel(Text(render(page)), title="first page to on-call", border_style="red", width=WIDTH))
    picture.write_text(console.export_svg(title="", code_format=FORMAT))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
