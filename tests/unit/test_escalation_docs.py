"""docs/escalation.md is followed as a new user would: its files written, its commands run; its table is the code's."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.escalation.names import table

DOC = (Path(__file__).resolve().parents[2] / "docs" / "escalation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(yaml|sh)\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONITOR_CONFIG", raising=False)
    for kind, text in BLOCKS:
        if kind == "yaml":
            (tmp_path / re.match(r"# (\S+)\n", text)[1]).write_text(text)
    return tmp_path


def run(command):
    return CliRunner().invoke(app, shlex.split(command)[1:])


def test_every_command_in_it_runs(folder):
    said = {}
    for kind, text in BLOCKS:
        for command in text.splitlines() if kind == "sh" else ():
            result = run(command)
            assert result.exit_code == 0, (command, result.output, result.exception)
            said[command] = result.output
    assert "nothing to mend" in said["monitor rules check"]
    assert "2 passed, 0 failed" in said["monitor rules test rules.test.yaml"]
    assert "somebody is on call at every moment" in said["monitor oncall check"]
    assert "desk" in said["monitor oncall now"]
    assert (folder / "desk.ics").read_text().startswith("BEGIN:VCALENDAR")


def test_the_slip_that_it_asks_for_is_refused_with_the_mend(folder):
    rules = folder / "rules.yaml"
    rules.write_text(rules.read_text().replace('cause == "damaged_luggage"', "story.author > 3"))
    result = run("monitor rules check")
    assert result.exit_code == 1
    assert "did you mean 'story.authors'?" in result.output + result.stderr
    assert run("monitor rules test rules.test.yaml").exit_code != 0


def test_what_the_test_file_expects_can_fail(folder):
    tests = folder / "rules.test.yaml"
    tests.write_text(tests.read_text().replace("at: 21m", "at: 40m"))
    result = run("monitor rules test rules.test.yaml")
    assert result.exit_code == 1
    assert "1 passed, 1 failed" in result.output


def test_the_table_of_names_is_the_codes():
    between = DOC.partition("<!-- names: begin -->")[2].partition("<!-- names: end -->")[0]
    assert between.strip() == table()


def test_every_shipped_rule_is_named():
    from monitor.escalation import default_rules  # noqa: PLC0415 -- the only user

    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", DOC, re.MULTILINE)
    rules = default_rules()
    assert {(rule.name, "shadow" if rule.shadow else rule.severity) for rule in rules.everything} <= set(rows)
