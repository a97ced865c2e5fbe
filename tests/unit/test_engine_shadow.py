"""Shadow rules beside the live ones: recorded, compared, and nobody is told."""

import msgspec
import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.escalation.rulefile import load_rules
from monitor.store import Store
from monitor.store.shadows import compare
from tests.support.pipeline import NAMES, Pipeline, in_time, outcry, with_ticks
from tests.support.stores import url_for

pytestmark = pytest.mark.store

RULES = """
rules:
  - {name: early, shadow: true, severity: page, when: complaining && story.authors >= 8, hold: 10s}
  - {name: broken, severity: page, when: story.authors / story.own_replies > 2}
"""


def test_a_shadow_rule_is_recorded_beside_the_live_page_and_survives_a_restart(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    pipe = Pipeline()
    pipe.rules = load_rules(tmp_path / "rules.yaml")
    pipe.engines = [pipe._engine(0)]
    errors = 0
    take = pipe.take

    def counting(partition, value):
        nonlocal errors
        changes = take(partition, value)
        errors += changes.rule_errors["broken"]
        return changes

    pipe.take = counting
    stream = with_ticks(in_time(outcry(NAMES[0], 60.0)), 600.0)
    pipe.feed(*stream[: len(stream) // 2])
    pipe.restart()
    pipe.feed(*stream[len(stream) // 2 :])
    (report,) = compare(pipe.store)
    (story,) = report.both
    assert report.rule == "early"
    assert report.versions == (pipe.rules.version,)
    assert story.earlier_s > 0
    assert (report.only_shadow, report.only_live) == ((), ())
    assert {page.severity for page in pipe.pages()} <= {"page", "crisis", "notify"}
    assert errors > 0
    assert pipe.incidents()[0].rules == pipe.rules.version
    assert compare(pipe.store, rule="other") == []


def test_the_command_compares_them(tmp_path, monkeypatch):
    (tmp_path / "rules.yaml").write_text(RULES)
    url = url_for(tmp_path / "store.sqlite")
    Store(url).migrate()
    pipe = Pipeline(url=url)
    pipe.rules = load_rules(tmp_path / "rules.yaml")
    pipe.engines = [pipe._engine(0)]
    pipe.feed(*with_ticks(in_time(outcry(NAMES[0], 60.0)), 600.0))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text(f"store: {{url: '{url}'}}\ntime: {{mode: replay}}\nrules: rules.yaml\n")
    said = CliRunner().invoke(app, ["rules", "shadow"])
    assert said.exit_code == 0, said.exception
    assert (
        f"early ({pipe.rules.version}): would have paged 1 stories, 1 of which the live rules paged too" in said.output
    )
    (report,) = msgspec.json.decode(CliRunner().invoke(app, ["rules", "shadow", "--json", "--rule", "early"]).output)
    assert report["both"][0]["brand"] == "aurora-hotels"
