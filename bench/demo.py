"""Fifty simulated weeks: is the viral story paged before its line, and does any decoy page?

The same code as live on a virtual clock: `monitor.backtest.Offline`. The truth is the simulator's. Run it by
`make bench-demo`; seeds from 2000 on were never looked at while anything was tuned.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from monitor.backtest import Offline
from monitor.brand import BrandMatcher, BrandTree
from monitor.demo.stream import CHATTER
from monitor.engine.records import id_key
from monitor.escalation.rules import default_rules
from monitor.mention import encode
from monitor.mention.text import safe
from monitor.oncall.directory import Directory, Recipient, Route
from monitor.sentiment import load_scorer
from monitor.simulate import Settings, Simulation, brands_file
from monitor.store.tables import seen

FIRST_SEED = 2000
TITLE = 40
"""Characters of a headline that tell which mention it is."""

_scorer: Any = None


def one(seed: int, model: str | None, stories: tuple[str, ...] | None, *, vectors: bool = False) -> dict[str, Any]:
    """Run one week; returns what was paged, by the truth."""
    global _scorer  # noqa: PLW0603 -- one model, and one cache, a process
    if _scorer is None:
        _scorer = load_scorer(model, threads=1, vectors=vectors)
    simulation = Simulation(Settings(stories=stories, rate=CHATTER) if stories else Settings(rate=CHATTER), seed=seed)
    tree = BrandTree.load(brands_file())
    routes = Directory.of([Recipient(name="on-call", channels=("x",))], [Route(recipient="on-call", severity="notify")])
    offline = Offline(
        tree=tree,
        matcher=BrandMatcher(tree),
        scorer=_scorer,
        rules=default_rules(),
        routes=routes,
        id_retention_s=30 * 86400,
    )
    began = time.perf_counter()
    mentions = list(simulation.mentions())
    result = offline.run(encode(mention) for mention in mentions)
    truth = simulation.truth()
    name_of: dict[bytes, str | None] = {}
    by_id = truth.story_of()
    for mention in mentions:
        name_of[id_key(mention.source, mention.id)] = by_id.get(mention.id)
    votes: dict[str, Counter[str | None]] = {}
    with offline.store.engine.connect() as connection:
        for row in connection.execute(select(seen.c.key, seen.c.story).where(seen.c.story.is_not(None))):
            votes.setdefault(row.story, Counter())[name_of.get(row.key)] += 1
    titled = {safe(mention.text, TITLE): by_id.get(mention.id) for mention in mentions if mention.text}
    stories_by_name = {story.name: story for story in truth.stories}
    pages = []
    for page in result.pages:
        if page.purpose == "notice" or page.severity not in {"page", "crisis"}:
            continue
        if page.kind == "story":
            named = votes.get(page.story, Counter([None])).most_common(1)[0][0]
        else:  # a wave is about the mention that its page is headed by
            named = titled.get(safe(page.headline, TITLE))
        known = stories_by_name.get(named) if named else None
        lead = known.crossed_at.timestamp() - page.decided_at if known and known.crossed_at else None
        pages.append(
            {
                "story": page.story,
                "truth": named,
                "kind": page.kind,
                "brand": page.brand,
                "at": datetime.fromtimestamp(page.decided_at, tz=UTC).isoformat(timespec="minutes"),
                "purpose": page.purpose,
                "rule_reason": page.reason,
                "viral": bool(known and known.viral),
                "lead": lead,
                "decoy": bool(known and not known.viral),
            }
        )
    notices = [page for page in result.pages if page.purpose == "notice"]
    return {
        "seed": seed,
        "mentions": result.published,
        "balanced": result.account.total == result.published,
        "pages": pages,
        "notices": len(notices),
        "decoys": [s.name for s in truth.stories if not s.viral],
        "viral": next((s.name for s in truth.stories if s.viral), None),
        "seconds": time.perf_counter() - began,
        "crossing_h": next((s.crossing_seconds for s in truth.stories if s.viral and s.crossing_seconds), 0) / 3600,
    }


def main() -> None:
    """Print a line a seed, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--model", default=None)
    parser.add_argument("--stories", default="", help="comma-separated; default: the demo's")
    parser.add_argument("--vectors", action="store_true", help="group by embeddings too, as `model.vectors: true` does")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    stories = tuple(arguments.stories.split(",")) if arguments.stories else None
    results = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        jobs = [
            pool.submit(one, seed, arguments.model, stories, vectors=arguments.vectors)
            for seed in range(arguments.first, arguments.first + arguments.seeds)
        ]
        for job in jobs:
            results.append(row := job.result())
            leads = [page["lead"] for page in row["pages"] if page["viral"] and page["lead"] is not None]
            others = [page for page in row["pages"] if not page["viral"]]
            lead = f"{max(leads) / 3600:6.2f} h" if leads else "   none  "
            print(
                f"seed {row['seed']}  {row['mentions']:6,} mentions  {row['seconds']:5.1f} s  lead {lead} of "
                f"{row['crossing_h']:5.1f} h  pages {len(row['pages'])}  notices {row['notices']}  "
                + "; ".join(f"{page['kind']} {page['truth'] or 'chatter'} ({page['purpose']})" for page in others),
                flush=True,
            )
    early = [
        max(page["lead"] for page in row["pages"] if page["viral"] and page["lead"] is not None)
        for row in results
        if any(page["viral"] and page["lead"] is not None and page["lead"] > 0 for page in row["pages"])
    ]
    decoys = sum(len(row["decoys"]) for row in results)
    paged_decoys = sum(len({page["truth"] for page in row["pages"] if page["decoy"]}) for row in results)
    other = sum(1 for row in results for page in row["pages"] if not page["viral"] and not page["decoy"])
    single = sum(
        1
        for row in results
        if len({p["story"] for p in row["pages"] if p["kind"] == "story"}) == 1
        and any(p["viral"] for p in row["pages"])
    )
    print(f"\nviral story paged before its line: {len(early)} of {len(results)}")
    if early:
        print(f"lead: median {statistics.median(early) / 3600:.2f} h, least {min(early) / 3600:.2f} h")
    print(f"decoys paged: {paged_decoys} of {decoys}")
    print(f"pages about ordinary chatter: {other} in {len(results)} weeks")
    print(f"weeks in which exactly the viral story was paged as a story: {single} of {len(results)}")
    print(f"accounts balanced: {sum(row['balanced'] for row in results)} of {len(results)}")


if __name__ == "__main__":
    main()
