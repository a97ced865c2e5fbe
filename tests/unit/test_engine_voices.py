"""A story needs three voices before anything is made of it, whatever the rules say."""

import pytest

from monitor.escalation.rulefile import load_rules
from tests.support.pipeline import NAMES, Pipeline, say, with_ticks

pytestmark = pytest.mark.store

RULES = """
rules:
  - {name: anything, severity: page, when: story.authors >= 1, hold: 0s}
"""
TEXT = f"{NAMES[0]} lost my suitcase at gate nine and nobody answers"


@pytest.mark.parametrize("kind", ["post", "repost"])
def test_what_fewer_than_three_people_say_never_spreads(tmp_path, kind):
    (tmp_path / "rules.yaml").write_text(RULES)
    pipe = Pipeline()
    pipe.rules = load_rules(tmp_path / "rules.yaml")
    pipe.engines = [pipe._engine(0)]
    more = {"kind": kind, "repost_of": "0"} if kind == "repost" else {}
    loud = [say(0, TEXT, 0.0, author="ann", followers=10**7)]
    loud += [say(n, TEXT, 5.0 * n, author=("ann", "bob")[n % 2], followers=10**7, **more) for n in range(1, 60)]
    pipe.feed(*with_ticks(loud, 600.0))
    assert pipe.the_story().size == 60
    assert pipe.incidents() == []
    pipe.feed(*with_ticks([say(60, TEXT, 900.0, author="cem", followers=3, **more)], 600.0))
    assert [incident.rule for incident in pipe.incidents()] == ["anything"]
