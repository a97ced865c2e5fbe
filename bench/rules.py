"""How many story updates a second one core judges: 50 rules all in scope, and 50 loaded of which 8 are in scope.

    python bench/rules.py [--seconds 3] [--json FILE]

Each update is a story whose figures differ from the last one's, judged from the view to the decision and the new
memory; seconds are those of the processor. The rules read 15 different names between them, as those of a house with
many brands do.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec import structs

from monitor.brand import BrandTree
from monitor.escalation import RuleMemory, evaluate
from monitor.escalation.example import START, example_spread, example_view
from monitor.escalation.rulefile import load_rules

if TYPE_CHECKING:
    from monitor.escalation.rules import RuleSet
    from monitor.escalation.types import StoryView

GOALS = {"50 rules in scope": 5_000, "8 of 50 in scope": 20_000}
CAUSES = ("damaged_luggage", "on_hold", "rude_staff", "cancelled_booking", "delay", "refund")
SHAPES = (
    'cause == "{cause}" && complaint_share >= 0.{n:02d} && spread.p_viral >= 0.5',
    "story.authors >= {n} && spread.per_hour > {n} * spread.expected_per_hour && cause == '{cause}'",
    "spread.minutes_to_viral < {n} && spread.r > 1.2 && negative_share > 0.5",
    "story.biggest_followers > {n}00000 && story.own_replies == 0",
    "story.reach > {n}000 && promo_share < 0.3 && spread.q90 > spread.line",
)


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each part is measured")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    views = _views(500)
    found: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for name, spread_out in (("50 rules in scope", False), ("8 of 50 in scope", True)):
            rules = _rules(Path(folder), spread_out=spread_out)
            scope = rules.scope("story", "brand-0", "brand-0")
            assert len(scope.rules) == (8 if spread_out else 50)
            found[name] = _measure(rules, views, options.seconds)
            goal = GOALS[name]
            print(f"{name:<20} {found[name]:>9,.0f} updates/s, {1e6 / found[name]:.1f} us each (goal {goal:,})")
    if options.json:
        options.json.write_text(json.dumps({"machine": platform.machine(), "updates_per_s": found}) + "\n")
    return int(any(found[name] < goal for name, goal in GOALS.items()))


def _rules(folder: Path, *, spread_out: bool) -> RuleSet:
    """Return 50 rules; spread out, six are for each of seven brands and eight for the one that is measured."""
    lines = ["shipped: false", "rules:"]
    for number in range(50):
        when = SHAPES[number % len(SHAPES)].format(cause=CAUSES[number % len(CAUSES)], n=number + 10)
        severity = ("info", "notify", "page", "crisis")[number % 4]
        brand = 0 if number < 8 else 1 + number % 7
        scope = f", brands: [brand-{brand}]" if spread_out else ""
        lines.append(f"  - {{name: rule-{number}, severity: {severity}, hold: 60s, when: {json.dumps(when)}{scope}}}")
    path = folder / "rules.yaml"
    path.write_text("\n".join(lines))
    return load_rules(path, BrandTree.from_names(f"Brand {number}" for number in range(8)))


def _views(number: int) -> list[StoryView]:
    return [
        structs.replace(
            example_view(
                brand="brand-0",
                voices=20 + n % 90,
                complaint_share=(n % 100) / 100,
                negative_share=(n % 70) / 100,
                cause=CAUSES[n % len(CAUSES)],
                spread=example_spread(p_viral=(n % 97) / 97, per_hour=float(n % 200), reach=1000.0 * n),
            ),
            umbrella="brand-0",
            biggest_followers=n * 3000,
        )
        for n in range(number)
    ]


def _measure(rules: RuleSet, views: list[StoryView], seconds: float) -> float:
    memories = [RuleMemory()] * len(views)
    done, now = 0, START
    began = time.process_time()
    while time.process_time() - began < seconds:
        now += 30.0
        for place, view in enumerate(views):
            _, memories[place] = evaluate(rules, view, memories[place], now)
        done += len(views)
    return done / (time.process_time() - began)


if __name__ == "__main__":
    sys.exit(main())
