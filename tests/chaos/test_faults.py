"""The promise that nothing is lost and nothing counted twice, held while the parts die at random moments.

20,000 mentions, ten of each fault for each worker and the real model: `make chaos`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.run import Report, plan, run
from tests.chaos.script import Script, write
from tests.chaos.stage import Stage
from tests.support.kafka import a_broker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.stream.embedded import EmbeddedBroker
    from tests.chaos.run import Fault
    from tests.support.kafka import ApacheKafka

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]

MENTIONS = 4000


@pytest.fixture(scope="module")
def script() -> Script:
    return write(MENTIONS, seed=3)


async def _play(
    folder: Path, broker: EmbeddedBroker | ApacheKafka, script: Script, faults: Sequence[Fault] = ()
) -> Report:
    stage = await Stage.build(folder, broker, script)
    try:
        return await run(stage, script, faults)
    finally:
        await stage.close()


@pytest.fixture(scope="module")
async def undisturbed(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Report:
    """What the script comes to when nobody disturbs it."""
    with a_broker() as broker:
        return await _play(tmp_path_factory.mktemp("undisturbed"), broker, script)


def _holds(report: Report, undisturbed: Report) -> None:
    assert not report.problems, "\n".join(report.problems)
    assert report.incidents == undisturbed.incidents
    assert report.openings == undisturbed.openings


def test_an_undisturbed_run_pages_for_every_story_and_only_for_those(undisturbed: Report, script: Script):
    assert not undisturbed.problems, "\n".join(undisturbed.problems)
    assert len(undisturbed.incidents) == script.stories
    assert undisturbed.arrived >= 2 * script.stories
    assert set(undisturbed.account) == {"stored", "repeated", "dead", "orphan", "too_old", "no_brand"}


async def test_twelve_faults_change_nothing(
    undisturbed: Report, script: Script, own_broker: EmbeddedBroker | ApacheKafka, tmp_path: Path
):
    report = await _play(tmp_path / "run", own_broker, script, plan(1, each=2))
    assert report.faults == 12
    _holds(report, undisturbed)


@pytest.mark.kafka
async def test_twelve_faults_and_a_restart_of_apache_kafka_change_nothing(
    undisturbed: Report, script: Script, own_kafka: ApacheKafka, tmp_path: Path
):
    report = await _play(tmp_path / "run", own_kafka, script, plan(2, each=2, broker=True))
    assert report.faults == 13
    _holds(report, undisturbed)
