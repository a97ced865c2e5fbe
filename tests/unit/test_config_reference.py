"""The documented reference is the code's."""

from __future__ import annotations

from pathlib import Path

from monitor.config import load
from monitor.config.reference import BEGIN, END, markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_holds_the_reference_as_the_code_has_it():
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown.strip() == markdown().strip(), "run: python -m monitor.config.reference docs/configuration.md"


def test_every_key_says_what_it_does():
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if not row.rstrip(" |").endswith(".")] == []


def test_the_example_on_the_page_is_taken(tmp_path):
    example = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "monitor.yaml"
    path.write_text(example)
    settings = load(path, {"DB_PASSWORD": "x", "DESK_SECRET": "y"})
    assert set(settings.channels) == {"duty-desk", "am"}


def test_the_example_in_the_readme_is_taken(tmp_path):
    example = (PAGE.parents[1] / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "monitor.yaml"
    path.write_text(example)
    assert load(path, {"DB_PASSWORD": "x", "DESK_SECRET": "y"}).channels.keys() == {"desk"}
