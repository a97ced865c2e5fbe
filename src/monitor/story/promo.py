"""Giveaways, spam and job adverts: loud, and no complaint. A small documented rule set, read in one pass.

| kind | says, whatever the case |
| --- | --- |
| giveaway | giveaway, sweepstakes, "RT/follow/like/share/comment ... to win", "follow and retweet", "enter to win", |
| | "chance to win", "win a ... trip, voucher, prize ...", gewinnspiel, sorteo, concours |
| job | "we are hiring", "now hiring", "apply now" near job, role or career, "job opening", "join our team" |
| spam | "click here", "link in bio", "promo code", "earn $1", "buy now", airdrop, "DM me for promo" |
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from monitor.story.words import READ_CHARS, take_apart

Promo = Literal["giveaway", "job", "spam"]

_GIVEAWAY = r"""
  \b give\s?-?aways?\b | \bsweepstakes?\b | \bgewinnspiel\b | \bsorteo\b | \bconcours\b
| \b(?:rt|retweet|repost|follow|like|share|comment|tag)\b [^.!?\n]{0,50}
  \b(?:to|and|&|for\s+a\s+chance\s+to)\s+(?:be\s+entered\s+to\s+)?win\b
| \bfollow\b [^.!?\n]{0,30} (?:\band\b|&|\+) \s* (?:rt|retweet|repost|share|like)\b
| \b(?:rt|retweet|repost|like|share)\b \s* (?:\band\b|&|\+) \s* follow\b
| \b(?:enter|chance)\b [^.!?\n]{0,20} \bto\s+win\b
| \bwin\s+(?:a|an|one\s+of|2|two|\d+)\b [^.!?\n]{0,40}
  \b(?:trip|tickets?|vouchers?|card|prizes?|pair|stay|nights?|flights?|miles|iphone|ipad)\b
"""
_JOB = r"""
  \b(?:we\s*(?:'|\u2019)?\s*a?re|now|currently)\s+hiring\b
| \#(?:hiring|jobalert|nowhiring)\b | \bjob\s+(?:opening|alert|vacancy)\b
| \bapply\s+(?:now|today|here)\b [^\n]{0,80} \b(?:job|role|position|career|careers)\b
| \b(?:job|role|position|career|careers)\b [^\n]{0,80} \bapply\s+(?:now|today|here)\b | \bjoin\s+our\s+team\b
"""
_SPAM = r"""
  \blink\s+in\s+(?:my\s+)?bio\b | \bclick\s+here\b | \b(?:promo|discount|coupon)\s+code\b | \bfree\s+followers\b
| \b(?:earn|make)\s+(?:\$|\u20ac|\u00a3)\s?\d | \bmake\s+money\s+(?:online|fast|from\s+home)\b
| \bbuy\s+now\b | \bairdrop\b
| \bdm\s+(?:me|us)\s+for\s+(?:promo|a\s+shoutout|details)\b
"""
_RULES = re.compile(f"(?P<giveaway>{_GIVEAWAY})|(?P<job>{_JOB})|(?P<spam>{_SPAM})", re.IGNORECASE | re.VERBOSE)
_HINTS = frozenset(
    """give giveaway giveaways sweepstake sweepstakes gewinnspiel sorteo concours win follow hiring jobalert nowhiring
    job apply team bio click code followers earn make buy airdrop dm""".split()  # noqa: SIM905 -- read as text
)
"""One of these words is in whatever a rule finds."""


@lru_cache(maxsize=4096)  # what spreads is repeated word for word
def promo_kind(text: str) -> Promo | None:
    """Return what kind of promotion `text` is, or None.

    >>> promo_kind("Follow us & retweet: ten lucky guests get a weekend!")
    'giveaway'
    >>> promo_kind("Gran sorteo: gana una noche para dos")
    'giveaway'
    >>> promo_kind("You win. I give up on your hotline.") is None
    True
    """
    if _HINTS.isdisjoint(take_apart(text).words):
        return None
    found = _RULES.search(text[:READ_CHARS])
    return found.lastgroup if found else None  # type: ignore[return-value]  # the group names are the kinds
