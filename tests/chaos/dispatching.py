"""Runs a dispatcher as a process of its own, to be killed: `python -m tests.chaos.dispatching CONFIG [POLICY]`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from monitor.config import load
from monitor.page.policy import Policy
from monitor.page.worker import dispatch
from monitor.telemetry import Worker


def main() -> None:
    """Deliver until killed. POLICY is JSON: the fields of `Policy` that are to be other than its defaults."""
    policy = msgspec.json.decode(sys.argv[2] if len(sys.argv) > 2 else "{}", type=dict)
    asyncio.run(dispatch(load(Path(sys.argv[1])), Worker("dispatch"), policy=Policy(**policy)))


if __name__ == "__main__":
    main()
