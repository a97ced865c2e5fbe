"""Rule files: layers over the shipped rules, down the brand tree, shadows, schedules, and what is refused."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from monitor.brand import BrandTree
from monitor.brand.tree import Node
from monitor.escalation import RuleMemory, default_rules, evaluate
from monitor.escalation.example import START, example_spread, example_view
from monitor.escalation.rulefile import RuleFileError, load_rules
from monitor.escalation.ruletest import run_tests

NOW = START + 2400
TREE = BrandTree(
    [
        Node(id="aurora", name="Aurora"),
        Node(id="aurora-grand", name="Aurora Grand", parent="aurora"),
        Node(id="aurora-grand-lisbon", name="Lisbon", parent="aurora-grand"),
        Node(id="finch", name="Finch"),
    ]
)


def rules_of(tmp_path, text, tree=TREE, routes=None):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return load_rules(path, tree, routes)


def problems_of(tmp_path, text, **more):
    with pytest.raises(RuleFileError) as refused:
        rules_of(tmp_path, text, **more)
    return [problem.partition("rules.yaml:")[2] for problem in refused.value.problems]


def decide(rules, view, hold=3600.0, memory=None):
    first, memory = evaluate(rules, view, memory or RuleMemory(), NOW - hold)
    assert first.action == "none"
    return evaluate(rules, view, memory, NOW)


def names(rules, brand, kind="story"):
    return [rule.name for rule in rules.scope(kind, brand, brand).rules]


OWN = """
rules:
  - name: cancelled
    when: going_viral && cause == "cancelled_booking"
    severity: page
    hold: 2m
    route: bookings
"""


def test_ones_own_rule_comes_before_the_shipped_ones_and_names_route_and_version(tmp_path):
    rules = rules_of(tmp_path, OWN)
    decision, _ = decide(rules, example_view())
    assert (decision.action, decision.rule, decision.route) == ("open", "cancelled", "bookings")
    assert decision.rules == rules.version != default_rules().version
    assert rules.version == rules_of(tmp_path, OWN + "\n# a remark changes no version\n").version
    assert rules.version != rules_of(tmp_path, OWN.replace("2m", "3m")).version


def test_the_shipped_rules_can_be_left_out(tmp_path):
    rules = rules_of(tmp_path, "shipped: false" + OWN.replace("going_viral && ", ""))
    assert names(rules, "aurora") == ["cancelled"]


def test_a_rule_is_changed_by_name_and_keeps_the_rest(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: going-viral, severity: crisis, hold: 10m}]")
    rule = next(rule for rule in rules.rules if rule.name == "going-viral")
    base = next(rule for rule in default_rules().rules if rule.name == "going-viral")
    assert rule == structs.replace(base, severity="crisis", hold_s=600.0)


def test_a_new_condition_drops_the_old_calmer_one(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: going-viral, when: story.authors > 3}]")
    assert next(rule for rule in rules.rules if rule.name == "going-viral").still is None


def test_rules_are_inherited_down_the_tree_and_the_nearest_counts(tmp_path):
    rules = rules_of(
        tmp_path,
        """
rules:
  - {name: going-viral, brands: [aurora-grand], hold: 5m}
  - {name: going-viral, brands: [aurora], hold: 3m, severity: crisis}
  - {name: spreading-notice, brands: [aurora], off: true}
  - {name: loud, brands: [aurora], when: story.authors > 3, severity: info}
  - {name: loud, brands: [aurora-grand-lisbon], severity: notify}
""",
    )

    def rule(brand, name):
        umbrella = TREE.umbrella_of(brand)
        return next((rule for rule in rules.scope("story", brand, umbrella).rules if rule.name == name), None)

    assert (rule("finch", "going-viral").hold_s, rule("finch", "loud")) == (60.0, None)
    assert (rule("aurora", "going-viral").hold_s, rule("aurora", "going-viral").severity) == (180.0, "crisis")
    for brand in ("aurora-grand", "aurora-grand-lisbon"):
        assert (rule(brand, "going-viral").hold_s, rule(brand, "going-viral").severity) == (300.0, "crisis")
        assert rule(brand, "spreading-notice") is None
    assert [rule(brand, "loud").severity for brand in ("aurora", "aurora-grand", "aurora-grand-lisbon")] == [
        "info", "info", "notify",
    ]  # fmt: skip
    assert rule("finch", "spreading-notice") is not None


def test_without_a_brand_tree_a_brand_is_its_own(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: going-viral, brands: [finch], hold: 5m}]", tree=None)
    assert [r.hold_s for r in rules.scope("story", "finch", "finch").rules if r.name == "going-viral"] == [300.0]
    assert [r.hold_s for r in rules.scope("story", "other", "other").rules if r.name == "going-viral"] == [60.0]


def test_an_error_is_counted_and_silences_nobody(tmp_path):
    rules = rules_of(
        tmp_path,
        "rules: [{name: broken, when: story.authors / story.own_replies > 1, severity: crisis}]",
    )
    decision, _ = decide(rules, example_view())
    assert (decision.action, decision.rule, decision.errors) == ("open", "going-viral", ("broken",))


def test_a_rule_that_lowers_caps_and_one_that_closes_ends(tmp_path):
    rules = rules_of(
        tmp_path,
        """
rules:
  - {name: answered, action: lower, severity: notify, when: story.own_replies > 2 && story.own_replies < 9}
  - {name: over, action: close, when: story.own_replies >= 9, reason: "answered {lasting} ago"}
""",
    )
    decision, memory = decide(rules, example_view())
    assert decision.severity == "page"
    decision, memory = evaluate(rules, example_view(own_replies=3), memory, NOW + 60)
    assert (decision.action, decision.severity, decision.rule) == ("lower", "notify", "answered")
    decision, memory = evaluate(rules, example_view(own_replies=3), memory, NOW + 120)
    assert decision.action == "none"
    decision, memory = evaluate(rules, example_view(own_replies=9), memory, NOW + 180)
    assert (decision.action, decision.rule, memory.severity) == ("close", "over", None)
    decision, memory = evaluate(rules, example_view(own_replies=9), memory, NOW + 240)
    assert decision.action == "none"


def test_a_schedule_counts_in_its_time_zone_and_a_night_belongs_to_its_first_day(tmp_path):
    rules = rules_of(
        tmp_path,
        """
zone: Europe/Lisbon
shipped: false
rules:
  - name: friday-night
    when: story.authors > 3
    severity: page
    schedule: {days: [fri], from: "22:00", to: "06:00"}
""",
    )
    schedule = rules.rules[0].schedule

    def at(day, hour):
        return schedule.open(datetime(2026, 7, day, hour, tzinfo=UTC).timestamp())

    assert [at(3, 20), at(3, 21), at(4, 4), at(4, 5), at(3, 4)] == [False, True, True, False, False]


def test_a_shadow_decides_for_itself_and_the_live_rules_do_not_see_it(tmp_path):
    rules = rules_of(tmp_path, "rules: [{name: going-viral, shadow: true, hold: 0s, when: spread.p_viral > 0.15}]")
    view = example_view(spread=example_spread(p_viral=0.2))
    assert decide(rules, view)[0].action == "none"
    decision, memory = evaluate(rules, view, RuleMemory(), NOW, shadow="going-viral")
    assert (decision.action, decision.severity, memory.severity) == ("open", "page", "page")
    assert next(rule for rule in rules.rules if rule.name == "going-viral").hold_s == 60.0


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("rules:\n  - name: a\n    when: story.author > 3\n    severity: page", 3, "did you mean 'story.authors'?"),
        ("rules:\n  - name: a\n    when: story.authors > 3\n    severity: pgae", 4, "did you mean 'page'?"),
        ("rules:\n  - name: a\n    when: story.authors > 3", 2, "add `severity:`"),
        ("rules:\n  - name: a\n    severity: page", 2, "there is no rule 'a' above this one to change"),
        ("rules:\n  - name: going-vral\n    hold: 5m", 2, "did you mean 'going-viral'?"),
        ("rules:\n  - name: A b\n    hold: 5m", 2, "use a-z"),
        ("rules:\n  - name: going-viral\n    hodl: 5m", 3, "did you mean 'hold'?"),
        ("rules:\n  - name: going-viral\n    hold: soon", 3, "write 90s, 10m or 2h"),
        ("rules:\n  - name: going-viral\n    brands: [auror]", 3, "did you mean 'aurora'?"),
        ("rules:\n  - name: going-viral\n    route: bagage", 3, "did you mean 'baggage'?"),
        ("rules:\n  - name: going-viral\n    reason: '{people} and {nobody}'", 3, "known: people"),
        ("rules:\n  - {name: going-viral, hold: 1m}\n  - {name: going-viral, hold: 2m}", 3, "twice (before: line 2)"),
        ("rules:\n  - name: a\n    kind: both\n    when: wave.on\n    severity: page", 3, "write `kind: wave`"),
        ("rules:\n  - name: a\n    when: wave.on && spread.crossed\n    severity: page", 3, "split it into two rules"),
        ("zone: Europe/Lissabon", 1, "write it as in Europe/Lisbon"),
        ("define:\n  cause: story.authors > 3", 2, "use another name"),
        ("define:\n  loud: story.authors +\nrules: []", 2, "is no CEL"),
        ("rules:\n  - name: x\n    when: wave.on\n    severity: page\n    schedule: {from: '25:00'}", 5, '"08:30"'),
        ("rules:\n  - name: x\n    when: wave.on\n    severity: page\n    schedule: {days: [mon-fry]}", 5, "mon-fri"),
        ("rulez: []", 1, "did you mean 'rules'?"),
        ("rules: 3", 1, "write `rules: [...]`"),
        ("- 3", 1, "holds no keys"),
        ("rules: [", 1, "is no YAML"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_line_and_mend(tmp_path, text, line, said):
    (problem,) = problems_of(tmp_path, text, routes=["baggage"])
    assert problem.startswith(f"{line}: ")
    assert said in problem


def test_every_problem_is_said_at_once_in_the_files_order(tmp_path):
    text = "\n".join(
        f"  - {{name: r{number}, when: 'story.author > {number}', severity: page}}" for number in range(12)
    )
    found = problems_of(tmp_path, f"rules:\n{text}")
    assert [int(problem.partition(":")[0]) for problem in found] == list(range(2, 14))


TESTS = """
rules: rules.yaml
tests:
  - name: lost bags go to the baggage desk
    story: {brand: finch, cause: damaged_luggage, complaint_share: 0.8}
    timeline:
      - at: 0m
        set: {story.authors: 12, spread.p_viral: 0.1}
      - at: 20m
        set: {story.authors: 60, spread.p_viral: 0.6, spread.per_hour: 80}
      - at: 60m
    expect:
      - {at: 22m, action: open, severity: page, rule: lost-bags}
    never: [viral-crisis]
"""
BAGS = """
rules:
  - {name: lost-bags, when: going_viral && cause == "damaged_luggage", severity: page, hold: 2m}
  - {name: going-viral, hold: 5m}
"""


def outcome(tmp_path, tests=TESTS, rules=BAGS):
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "tests.yaml").write_text(tests)
    (one,) = run_tests(tmp_path / "tests.yaml")
    return one


def test_a_rule_test_passes_and_says_what_happened(tmp_path):
    one = outcome(tmp_path)
    assert one.problems == ()
    assert [(h.at, h.action, h.rule) for h in one.happened] == [(22 * 60.0, "open", "lost-bags")]


def test_a_rule_test_fails_with_line_and_with_what_came_instead(tmp_path):
    late = outcome(tmp_path, TESTS.replace("22m", "30m"))
    assert "tests.yaml:13: expected at 30 min: action open" in late.problems[0]
    assert "nearest came at 22 min" in late.problems[0]
    never = outcome(tmp_path, TESTS.replace("never: [viral-crisis]", "never: [lost-bags]"))
    assert "lost-bags must never fire, and did at 22 min" in never.problems[0]
    silent = outcome(tmp_path, TESTS, BAGS.replace("damaged_luggage", "on_hold"))
    assert "not expected at 25 min: open, rule going-viral" in silent.problems[-1]
