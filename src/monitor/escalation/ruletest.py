"""Tests of rules in YAML: a story's timeline, and the decisions that must come, and those that must not.

    rules: rules.yaml            # relative to this file; without it the shipped rules
    tests:
      - name: lost bags page the baggage desk
        story: {brand: meridian-air, cause: damaged_luggage}     # how it stands all the time
        timeline:
          - at: 0m
            set: {story.authors: 12, spread.p_viral: 0.1}
          - at: 20m
            set: {story.authors: 60, spread.p_viral: 0.6}
          - at: 60m
        expect:
          - {at: 21m, action: open, rule: lost-bags, severity: page}
        never: [viral-crisis]

Between two entries of the timeline the story is judged each minute, as it stands. Values are set by the names that
conditions use; what is never set is that of a small, quiet story without complaints. `expect` is all that happens:
a decision that is not listed fails the test, unless `only_listed: false`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from monitor.brand.tree import BrandTree
from monitor.escalation.names import BY_NAME
from monitor.escalation.rulefile import load_rules, span
from monitor.escalation.rules import RuleSet, evaluate
from monitor.escalation.types import KINDS, Kind, RuleMemory, StoryView, Together
from monitor.mention.yamlfile import Section, load
from monitor.spread.types import Burn, Forecast, Spread, Tide, ViralLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = 1_767_225_600.0
"""When a timeline begins if the test does not say: 2026-01-01T00:00:00Z, a Thursday."""

STEP_S = 60.0
SLACK_S = 60.0
"""A decision may come so long after the moment that is expected: stories are judged each minute."""

LONGEST_S = 14 * 86_400.0


class Happened(Struct, frozen=True):
    """A decision that a test's timeline led to, seconds after its beginning."""

    at: float
    action: str
    rule: str
    severity: str
    reason: str
    shadow: bool = False


class Outcome(Struct, frozen=True):
    """What became of one test: no problem means that it passed."""

    name: str
    problems: tuple[str, ...]
    happened: tuple[Happened, ...] = ()


def run_tests(path: Path, rules: Path | None = None, tree: BrandTree | None = None) -> list[Outcome]:
    """Run a file of tests.

    Args:
        path: the file of tests.
        rules: the rule file, over the one that the tests name.
        tree: the brands, for rules that are inherited.

    Raises:
        FileError: the file of tests is refused.
        RuleFileError: the rule file is.
    """
    top = load(path)
    top.only(["rules", "tests", "brands"])
    named, brands = top.text("rules"), top.text("brands")
    if tree is None and brands is not None:
        tree = BrandTree.load(path.parent / brands)
    used = rules or (path.parent / named if named else None)
    rule_set = load_rules(used, tree)
    sections = top.sections("tests")
    if not sections:
        raise top.error(None, "there is no test in it", "add `tests:` and, below it, `- name: ...`")
    return [_run(section, rule_set) for section in sections]


def _run(section: Section, rules: RuleSet) -> Outcome:
    section.only(["name", "kind", "story", "start", "timeline", "expect", "never", "only_listed"])
    name = section.needed("name")
    happened = tuple(_play(section, rules))
    problems: list[str] = []
    left = list(happened)
    for want in section.sections("expect"):
        want.only(["at", "action", "rule", "severity", "shadow"])
        at = _moment(want, "at")
        fields = {key: want.text(key) for key in ("action", "rule", "severity")}
        shadow = want.flag("shadow", default=False)
        _known_rule(want, "rule", fields["rule"], rules)
        found = next((one for one in left if _fits(one, at, fields, shadow=shadow)), None)
        if found is None:
            said = ", ".join(f"{key} {value}" for key, value in fields.items() if value)
            problems.append(f"{section.path}:{want.line()}: expected at {_clock(at)}: {said}; {_instead(left, at)}")
        else:
            left.remove(found)
    for rule, line in section.texts("never"):
        _known_rule(section, "never", rule, rules)
        problems += [
            f"{section.path}:{line}: {rule} must never fire, and did at {_clock(one.at)}: {one.reason}"
            for one in happened
            if one.rule == rule and one.action in {"open", "raise"}
        ]
    if section.flag("only_listed", default=True):
        problems += [
            f"{section.path}:{section.line('name')}: not expected at {_clock(one.at)}: {_say(one)}: {one.reason}"
            for one in left
            if not one.shadow
        ]
    return Outcome(name, tuple(problems), happened)


def _play(section: Section, rules: RuleSet) -> Iterator[Happened]:
    """Judge the story minute by minute."""
    start = _start(section)
    values: dict[str, Any] = dict(_QUIET)
    if (always := section.section("story")) is not None:
        values |= _values(always)
    kind = _kind(section)
    values.setdefault("umbrella", rules.umbrella_of(values["brand"]))
    timeline = [(_moment(entry, "at"), entry) for entry in section.sections("timeline")]
    if not timeline:
        raise section.error(None, "the test has no timeline", "add `timeline:` and, below it, `- at: 0m`")
    memories: dict[str | None, RuleMemory] = {}
    for number, (at, entry) in enumerate(timeline):
        entry.only(["at", "set"])
        if number and at < timeline[number - 1][0]:
            raise entry.error("at", "lies before the entry above it", "put the timeline in order")
        if (changed := entry.section("set")) is not None:
            values |= _values(changed)
        end = timeline[number + 1][0] if number + 1 < len(timeline) else at + 1.0
        now = at
        while now < end:
            view = _view(values, kind, start, start + now)
            yield from _judge(rules, view, memories, start, now)
            now += STEP_S


def _judge(
    rules: RuleSet, view: StoryView, memories: dict[str | None, RuleMemory], start: float, now: float
) -> Iterator[Happened]:
    """Judge by the live rules (remembered under None) and by each shadow rule."""
    names = [None, *(rule.name for rule in rules.scope(view.kind, view.brand, view.umbrella).shadows)]
    for name in names:
        before = memories.get(name, RuleMemory())
        decision, memories[name] = evaluate(rules, view, before, start + now, shadow=name)
        for failed in decision.errors:
            yield Happened(now, "error", failed, "info", "its condition could not be evaluated", name is not None)
        if decision.action != "none":
            rule = name or decision.rule
            yield Happened(now, decision.action, rule, decision.severity, decision.reason, name is not None)


def _start(section: Section) -> float:
    from datetime import datetime  # noqa: PLC0415 -- only here

    value = section.data.get("start")
    if value is None:
        return START
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise section.error("start", f"'start' is {value!r}", "write it as 2026-01-05T08:00:00+01:00") from error
    if moment.tzinfo is None:
        raise section.error("start", "'start' has no time zone", "write it as 2026-01-05T08:00:00+01:00")
    return moment.timestamp()


def _moment(section: Section, key: str) -> float:
    value = section.data.get(key)
    seconds = None if value is None or isinstance(value, bool) else span(str(value))
    if seconds is None or seconds > LONGEST_S:
        raise section.error(key, f"{key!r} is {value!r}", "write 90s, 10m or 2h after the beginning; two weeks at most")
    return seconds


def _values(section: Section) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in section.data:
        known = BY_NAME.get(name)
        if known is None or name in _FIXED:
            near = get_close_matches(name, [one for one in BY_NAME if one not in _FIXED], 1)
            mend = f"did you mean {near[0]!r}?" if near else "see the names in docs/escalation.md"
            raise section.error(name, f"{name!r} cannot be set", mend)
        value = section.data[name]
        fits = {
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "text": isinstance(value, str),
            "yes or no": isinstance(value, bool),
        }[known.type]
        if not fits:
            raise section.error(name, f"{name!r} is {value!r}", f"it is a {known.type}")
        found[name] = value
    return found


_FIXED = frozenset({"kind", "hour", "weekday", "story.readable", "story.age_minutes", "spread.times", "wave.times"})
_QUIET: dict[str, Any] = {
    "brand": "brand",
    "cause": "",
    "complaint_share": 0.0,
    "negative_share": 0.0,
    "positive_share": 0.0,
    "promo_share": 0.0,
    "unread_share": 0.0,
    "authentic_share": 1.0,
    "story.authors": 3,
    "story.reach": 1000,
    "story.biggest_followers": 0,
    "story.quiet_minutes": 0,
    "story.reposts": 0.0,
    "story.own_replies": 0,
    "story.brands": 1,
    "spread.p_viral": 0.01,
    "spread.crossed": False,
    "spread.per_hour": 0.0,
    "spread.expected_per_hour": 0.0,
    "spread.usual": 0.0,
    "spread.r": 0.5,
    "spread.line": 400,
    "spread.q10": 3,
    "spread.q50": 5,
    "spread.q90": 10,
    "wave.on": False,
    "wave.confident": True,
    "wave.observed": 0.0,
    "wave.expected": 1.0,
    "wave.high": 3.0,
    "wave.score": 0.0,
    "budget.confident": True,
    "budget.allowed": 100,
    "together.brands": 1,
    "together.same": 1,
    "together.authors": 0,
}


def _kind(section: Section) -> Kind:
    """Return what is tested."""
    given = section.text("kind") or "story"
    for kind in KINDS:
        if kind == given:
            return kind
    raise section.error("kind", f"'kind' is {given!r}", f"give one of {', '.join(KINDS)}")


def _view(values: dict[str, Any], kind: Kind, start: float, now: float) -> StoryView:
    """Return the story as the values say; those that are not set follow from the others."""
    authors = int(values["story.authors"])
    view = StoryView(
        umbrella=str(values["umbrella"]),
        story="s0test",
        brand=str(values["brand"]),
        kind=kind,
        headline="",
        first_at=start,
        last_at=now - 60.0 * float(values["story.quiet_minutes"]),
        size=int(values.get("story.mentions", authors)),
        voices=authors,
        own_replies=int(values["story.own_replies"]),
        complaint_share=float(values["complaint_share"]),
        negative_share=float(values["negative_share"]),
        positive_share=float(values["positive_share"]),
        repost_share=float(values["story.reposts"]),
        unread_share=float(values["unread_share"]),
        cause=str(values["cause"]) or None,
        sources=(),
        quotes=(),
        authentic_share=float(values["authentic_share"]),
        promo_share=float(values["promo_share"]),
        brands_hit=int(values["story.brands"]),
        biggest_followers=int(values["story.biggest_followers"]),
    )
    if kind == "wave":
        return structs.replace(view, tide=_tide(values, start, now))
    if kind == "budget":
        return structs.replace(view, burn=_burn(values, now), complaint_share=1.0)
    if kind == "umbrella":
        return structs.replace(view, together=_together(values, now), complaint_share=1.0)
    minutes = 0.0 if values["spread.crossed"] else values.get("spread.minutes_to_viral")
    forecast = Forecast(
        q10=float(values["spread.q10"]),
        q50=float(values["spread.q50"]),
        q90=float(values["spread.q90"]),
        p_viral=float(values["spread.p_viral"]),
        minutes_to_viral=None if minutes is None else float(minutes),
    )
    spread = Spread(
        at=now,
        size=view.size,
        voices=int(values.get("spread.authors", authors)),
        reach=float(values["story.reach"]),
        per_hour=float(values["spread.per_hour"]),
        expected_per_hour=float(values["spread.expected_per_hour"]),
        reproduction=float(values["spread.r"]),
        forecast=forecast,
        line=ViralLine(float(values["spread.line"]), values.get("spread.line_reach")),
        since=start,
        usual=float(values["spread.usual"]),
    )
    return structs.replace(view, spread=spread)


def _tide(values: dict[str, Any], start: float, now: float) -> Tide:
    return Tide(
        at=now,
        observed=float(values["wave.observed"]),
        expected=float(values["wave.expected"]),
        low=0.0,
        high=float(values["wave.high"]),
        window_s=3600.0,
        score=float(values["wave.score"]),
        voices=int(values.get("wave.authors", values["story.authors"])),
        wave_since=start if values["wave.on"] else None,
        confident=bool(values["wave.confident"]),
    )


def _burn(values: dict[str, Any], now: float) -> Burn:
    numbers = {name: values.get(f"budget.{name}", 0) for name in Burn.__struct_fields__ if f"budget.{name}" in BY_NAME}
    fields = numbers | {"allowed": values["budget.allowed"], "confident": bool(values["budget.confident"])}
    return Burn(at=now, cause=str(values["cause"]), why="the test", **fields)


def _together(values: dict[str, Any], now: float) -> Together:
    people, brands = int(values["together.authors"]), int(values["together.brands"])
    each = tuple((f"brand{number}", people // max(brands, 1)) for number in range(1, brands + 1))
    return Together(now, each, int(values["together.same"]), people, str(values["cause"]) or None, ())


def _known_rule(section: Section, key: str, rule: str | None, rules: RuleSet) -> None:
    known = {one.name for one in rules.everything} | {"calm"}
    if rule is not None and rule not in known:
        near = get_close_matches(rule, known, 1)
        mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise section.error(key, f"there is no rule {rule!r}", mend)


def _fits(one: Happened, at: float, fields: dict[str, str | None], *, shadow: bool) -> bool:
    said = {"action": one.action, "rule": one.rule, "severity": one.severity}
    return (
        one.shadow == shadow
        and 0.0 <= one.at - at <= SLACK_S
        and all(value is None or said[key] == value for key, value in fields.items())
    )


def _instead(left: list[Happened], at: float) -> str:
    if not left:
        return "nothing came"
    nearest = min(left, key=lambda one: abs(one.at - at))
    return f"nearest came at {_clock(nearest.at)}: {_say(nearest)}"


def _say(one: Happened) -> str:
    return f"{'shadow ' if one.shadow else ''}{one.action}, rule {one.rule}, severity {one.severity}"


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 -- an hour
