"""Health: what moves is alive, what stops is not, and waiting is no fault."""

from __future__ import annotations

import pytest

from monitor.telemetry import Health


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


def test_a_stage_that_stops_is_named_and_one_that_moves_is_not(clock):
    health = Health(60, clock)
    health.beat("score")
    health.beat("send")
    clock.now += 61
    health.beat("send")
    verdict = health.live()
    assert not verdict.ok
    assert verdict.details == {"score": "no progress for 61 s"}
    health.beat("score")
    assert health.live().ok


def test_nothing_is_expected_of_what_never_began_or_is_idle(clock):
    health = Health(60, clock)
    assert health.live().ok
    health.beat("watch")
    health.idle("watch")
    clock.now += 1000
    assert health.live().ok


def test_ready_when_all_that_is_needed_is_there(clock):
    health = Health(60, clock)
    health.need("model", "partitions")
    assert health.readiness().details == {"model": "not yet", "partitions": "not yet"}
    health.ready("model")
    health.ready("partitions", "no partition assigned")
    assert health.readiness().details == {"partitions": "no partition assigned"}
    health.ready("partitions")
    assert health.readiness().ok
    health.need("model")
    assert health.readiness().ok


def test_ages_are_told(clock):
    health = Health(60, clock)
    health.beat("score")
    clock.now += 5
    assert health.ages() == {"score": 5}
