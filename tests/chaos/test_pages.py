"""Every page arrives, in order, and none twice where the receiver can know, though everything fails half of the time.

500 incidents in a minute and five kills: `make bench` (bench/pages.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.pages import KINDS, KNOWS, run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("apprise", reason="not installed: pip install 'mention-monitor[apprise]'")
pytestmark = [pytest.mark.store, pytest.mark.slow]

QUICK = {"lease_s": 3.0, "send_timeout_s": 2.0, "first_s": 0.2, "most_s": 2.0, "rest_s": 1.0, "reclaim_s": 0.5}


async def test_every_page_arrives_in_order_though_receivers_fail_and_the_dispatcher_is_killed(tmp_path: Path) -> None:
    said = await run(tmp_path, incidents=8, seconds=3.0, kills=2, policy=QUICK)
    assert not said.problems, "\n".join(said.problems)
    assert said.pages == dict.fromkeys(KINDS, 24)
    assert all(said.sends[kind] > 24 for kind in KINDS), "receivers failed"
    assert all(said.marked[kind] == said.repeats[kind] for kind in KINDS if kind not in KNOWS)
