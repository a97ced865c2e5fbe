"""What the pages for SREs tell people to type exists."""

from __future__ import annotations

import re
import subprocess
import time

import pytest
from typer.testing import CliRunner

from monitor.brand import BrandMatcher, BrandTree
from monitor.cli import app
from monitor.mention.decode import decode
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "docs" / "deploy.md", *sorted((REPOSITORY / "docs" / "runbooks").glob("*.md"))]
_CODE = re.compile(r"`([^`\n]+)`|^    (.+)$|^       (.+)$", re.MULTILINE)


def _commands() -> dict[tuple[str, ...], set[str]]:
    """Return each command of `monitor` that a page names, with the options that it is given."""
    found: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        for code in (next(filter(None, groups)) for groups in _CODE.findall(page.read_text())):
            for said in re.findall(r"(?:^|-- |/)monitor ((?:[a-z]+ ?)+(?:[^|;&]*))", code):
                words = said.split()
                names = []
                for word in words:
                    if not re.fullmatch(r"[a-z]+", word):
                        break
                    names.append(word)
                options = {word for word in words if re.fullmatch(r"--[a-z-]+", word)}
                found.setdefault(tuple(names), set()).update(options)
    return found


COMMANDS = _commands()


def test_there_are_some():
    assert ("doctor",) in COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS), ids=" ".join)
def test_a_command_that_is_named_exists(command):
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, f"monitor {' '.join(command)}: {done.output}"
    for option in COMMANDS[command]:
        assert option in done.output, f"monitor {' '.join(command)} has no {option}"


def test_the_outcry_is_about_the_brand_that_is_configured():
    """Both overlays and the composition publish it in docs/deploy.md."""
    said = subprocess.run(["/bin/sh", "deploy/outcry.sh", "2"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    mentions = [decode(line, record_time=time.time()) for line in said.splitlines()]
    assert len({(mention.id, mention.author.id) for mention in mentions}) == 2
    for brands in ("deploy/compose/brands.yaml", "k8s/overlays/dev/brands.yaml"):
        matcher = BrandMatcher(BrandTree.load(REPOSITORY / brands))
        assert all(matcher.match(mention) for mention in mentions), brands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
    for path in re.findall(r"`((?:deploy|k8s|docs|tools)/[\w./-]+)`", page.read_text()):
        assert (REPOSITORY / path).exists(), path
