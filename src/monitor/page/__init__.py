"""Pages: facts, their rendering as text, and the delivery from the outbox with retries and receipts.

`build_facts` and `outgoing` make pages for an incident's intents, `merge_backlog` makes one of many, a `Dispatcher`
delivers what an `Outbox` holds through `Notifier`s (see `channels`), `verify_signature` is for webhook receivers.
"""

from __future__ import annotations

from monitor.page.backlog import merge_backlog
from monitor.page.dispatcher import Dispatcher, Meter, NoMeter, check_receivers
from monitor.page.facts import build_facts, outgoing
from monitor.page.outbox import Depth, Outbox, Reclaimed, Standing
from monitor.page.policy import Policy
from monitor.page.render import headline, render
from monitor.page.signature import sign, verify_signature
from monitor.page.types import Delivery, Notifier, Outcome, Page, Purpose

__all__ = [
    "Delivery",
    "Depth",
    "Dispatcher",
    "Meter",
    "NoMeter",
    "Notifier",
    "Outbox",
    "Outcome",
    "Page",
    "Policy",
    "Purpose",
    "Reclaimed",
    "Standing",
    "build_facts",
    "check_receivers",
    "headline",
    "merge_backlog",
    "outgoing",
    "render",
    "sign",
    "verify_signature",
]
