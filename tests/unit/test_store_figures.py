"""The figures that only the store knows."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from monitor.store.figures import read_figures
from monitor.store.tables import outbox
from tests.support.pipeline import ANGRY, LINE, NAMES, Pipeline, say

pytestmark = pytest.mark.store


def _figures(store, late_before: float = 0.0):
    with store.engine.connect() as connection:
        return read_figures(connection, late_before=late_before)


def test_a_new_store_has_none(store):
    figures = _figures(store)
    assert (figures.incidents, figures.events, figures.leads, figures.late) == ({}, {}, [], 0)


def test_a_story_that_crosses_its_line_shows_its_lead_time():
    pipeline = Pipeline()
    text = ANGRY.format(brand=NAMES[0], more="")
    for number in range(int(LINE * 2)):
        pipeline.feed(say(number, text, number * 20.0, author=f"a{number}"))
    pipeline.tick(LINE * 40.0 + 60)
    figures = _figures(pipeline.store)
    assert sum(figures.incidents.values()) == figures.events["opened"] == 1
    assert figures.events["crossed"] == 1
    assert len(figures.leads) == 1
    assert figures.leads[0] > 0


def _wait(store, key: str, **values):
    row = dict.fromkeys(("incident", "umbrella", "brand", "severity", "recipient", "channel"), "x")
    row |= {"key": key, "purpose": "first", "sequence": 1, "decided_at": 0.0, "created_at": 100.0, "facts": {}}
    row |= {"status": "waiting", "attempts": 0, "may_be_repeat": False, "settled": False}
    store.transact(lambda connection: connection.execute(insert(outbox).values(row | values)))


def test_only_pages_that_were_to_go_out_at_once_are_late(store):
    _wait(store, "due")
    _wait(store, "tried", attempts=3, next_try_at=900.0)
    _wait(store, "held", next_try_at=900.0)
    _wait(store, "settled", settled=True, status="accepted")
    _wait(store, "backlog", purpose="backlog")
    _wait(store, "new", created_at=180.0)
    assert _figures(store, late_before=170.0).late == 2
