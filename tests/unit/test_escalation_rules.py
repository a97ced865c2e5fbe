"""Rules: what opens, what must not, and how slowly it comes down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor.escalation import (
    CLOSE_AFTER_S,
    LOWER_AFTER_S,
    ConditionError,
    Rule,
    RuleMemory,
    RuleSet,
    default_rules,
    evaluate,
    rank,
)
from monitor.escalation.example import (
    START,
    example_budget,
    example_spread,
    example_umbrella,
    example_view,
    example_wave,
)

RULES = default_rules()
NOW = START + 2400


def after_hold(view, *, rules=RULES, hold=600.0):
    """Evaluate twice, a hold-down apart, with the same view; the second time is NOW."""
    first, memory = evaluate(rules, view, RuleMemory(), NOW - hold)
    assert first.action == "none"
    return evaluate(rules, view, memory, NOW)


def test_a_complaint_going_viral_is_paged_with_its_figures():
    decision, memory = after_hold(example_view())
    assert (decision.action, decision.severity, decision.rule) == ("open", "page", "going-viral")
    assert decision.reason == (
        "38 people in 40 min, 6 times the usual; 82 % likely to pass 400 people (median in 1 h 10 min);"
        " 87 % complain, mostly about cancelled booking"
    )
    assert dict(decision.evidence)["p_viral"] == 0.82
    assert decision.rules == "default-3"
    assert memory.severity == "page"


def test_a_wave_waits_longer_than_a_story():
    _, memory = evaluate(RULES, example_wave(), RuleMemory(), NOW)
    decision, memory = evaluate(RULES, example_wave(), memory, NOW + 599)
    assert decision.action == "none"
    assert evaluate(RULES, example_wave(), memory, NOW + 600)[0].action == "open"


def test_nothing_before_the_hold_down_has_passed():
    decision, memory = evaluate(RULES, example_view(), RuleMemory(), NOW)
    assert decision.action == "none"
    decision, _ = evaluate(RULES, example_view(), memory, NOW + 59)
    assert decision.action == "none"


def test_a_flicker_within_the_calmer_condition_does_not_start_the_hold_down_anew():
    _, memory = evaluate(RULES, example_view(), RuleMemory(), NOW)
    dip = example_view(spread=example_spread(p_viral=0.2))
    decision, memory = evaluate(RULES, dip, memory, NOW + 61)
    assert decision.action == "none"  # it must hold at the moment it fires
    decision, _ = evaluate(RULES, example_view(), memory, NOW + 62)
    assert decision.action == "open"


def test_a_real_break_starts_the_hold_down_anew():
    _, memory = evaluate(RULES, example_view(), RuleMemory(), NOW)
    _, memory = evaluate(RULES, example_view(spread=example_spread(p_viral=0.1)), memory, NOW + 30)
    decision, _ = evaluate(RULES, example_view(), memory, NOW + 61)
    assert decision.action == "none"


@pytest.mark.parametrize(
    "changes",
    [
        {"voices": 1, "size": 20},
        {"voices": 4},
        {"spread": example_spread(p_viral=0.2)},
        {"spread": None},
        {"spread": example_spread(per_hour=12.0)},
        {"last_at": START - 4000},
        {"complaint_share": 0.49, "spread": example_spread(p_viral=0.2)},
    ],
    ids=["one furious author", "four people", "unlikely", "no spread", "as usual", "long quiet", "no complaint"],
)
def test_near_misses_open_nothing(changes):
    decision, _ = after_hold(example_view(**changes))
    assert decision.action == "none"


@pytest.mark.parametrize(
    "changes",
    [{"complaint_share": 0.1}, {"promo_share": 0.8}, {"unread_share": 0.95}],
    ids=["pleas, mockery, praise", "giveaway", "hardly anything could be read"],
)
def test_what_spreads_without_being_a_complaint_is_a_notice_and_never_a_page(changes):
    decision, _ = after_hold(example_view(**changes))
    assert (decision.action, decision.severity, decision.rule) == ("open", "notify", "spreading-notice")


def test_near_the_line_a_pace_that_passes_it_soon_is_enough_whatever_the_forecast_says():
    slow = example_view(spread=example_spread(voices=300, p_viral=0.2, per_hour=60.0))
    assert after_hold(slow)[0].action == "none"
    soon = example_view(spread=example_spread(voices=300, p_viral=0.2, per_hour=120.0))
    assert after_hold(soon)[0].rule == "going-viral"


def test_a_story_past_its_line_by_reach_counts_and_is_said_so():
    line = structs.replace(example_spread().line, reach=90_000.0)
    decision, _ = after_hold(example_view(spread=example_spread(line=line, p_viral=1.0, minutes_to_viral=0.0)))
    assert decision.rule == "going-viral"
    assert "past the viral line of 90,000 followers reached" in decision.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"spread": example_spread(voices=1300)},
        {"spread": example_spread(q10=1300.0, p_viral=0.99)},
        {"spread": example_spread(voices=420), "brands_hit": 2},
    ],
    ids=["three times the line", "surely three times the line", "two brands past the line"],
)
def test_far_over_the_line_is_a_crisis(changes):
    decision, _ = after_hold(example_view(**changes))
    assert (decision.severity, decision.rule) == ("crisis", "viral-crisis")


def test_a_notice_that_turns_into_a_complaint_is_raised_to_a_page():
    _, memory = after_hold(example_view(complaint_share=0.1))
    _, memory = evaluate(RULES, example_view(), memory, NOW + 100)
    decision, memory = evaluate(RULES, example_view(), memory, NOW + 160)
    assert (decision.action, decision.severity) == ("raise", "page")
    decision, _ = evaluate(RULES, example_view(), memory, NOW + 200)
    assert decision.action == "none"


def test_a_wave_is_paged_and_said_as_a_wave():
    decision, _ = after_hold(example_wave())
    assert (decision.severity, decision.rule) == ("page", "complaint-wave")
    assert decision.reason.startswith("54 complaints in 1 h where 9 are usual (at most 17), from 41 people")


@pytest.mark.parametrize(
    "changes",
    [{"confident": False}, {"wave_since": None}, {"complaint_share": 0.2}, {"promo_share": 0.6}],
    ids=["baseline not known", "no wave", "praise", "giveaway"],
)
def test_no_wave_without_grounds(changes):
    decision, _ = after_hold(example_wave(**changes))
    assert decision.action == "none"


@pytest.mark.parametrize("voices", [3, 14])
def test_a_furious_author_and_those_who_answer_are_no_wave(voices):
    wave = example_wave(voices=voices)
    wave = structs.replace(wave, tide=structs.replace(wave.tide, voices=voices))
    assert after_hold(wave)[0].action == "none"


def test_it_is_lowered_and_closed_only_after_long_calm_and_says_so():
    _, memory = after_hold(example_view())
    calm = example_view(spread=example_spread(p_viral=0.02, per_hour=2.0))
    start = NOW + 100
    decision, memory = evaluate(RULES, calm, memory, start)
    assert (decision.action, memory.calm_since) == ("none", start)
    decision, memory = evaluate(RULES, calm, memory, start + LOWER_AFTER_S - 1)
    assert decision.action == "none"
    decision, memory = evaluate(RULES, calm, memory, start + LOWER_AFTER_S)
    assert (decision.action, decision.severity) == ("lower", "notify")
    assert decision.reason.startswith("calmer for 1 h: no more than usual, 2 % likely to pass 400 people")
    decision, memory = evaluate(RULES, calm, memory, start + CLOSE_AFTER_S - 1)
    assert decision.action == "none"
    decision, memory = evaluate(RULES, calm, memory, start + CLOSE_AFTER_S)
    assert decision.action == "close"
    assert decision.reason.startswith("calm for 3 h")
    assert (memory.severity, memory.peak, memory.calmed) == (None, "page", 38)


def came_down():
    """Return the memory of a story of 38 people that was paged and closed, and the time."""
    _, memory = after_hold(example_view())
    calm = example_view(spread=example_spread(p_viral=0.02))
    _, memory = evaluate(RULES, calm, memory, NOW + 100)
    _, memory = evaluate(RULES, calm, memory, NOW + 100 + CLOSE_AFTER_S)
    assert memory.severity is None
    return memory, NOW + 200 + CLOSE_AFTER_S


@pytest.mark.parametrize(("voices", "action"), [(40, "none"), (47, "none"), (48, "open")])
def test_a_story_that_came_down_must_have_grown_to_come_back(voices, action):
    memory, now = came_down()
    again = example_view(voices=voices)
    _, memory = evaluate(RULES, again, memory, now)
    decision, _ = evaluate(RULES, again, memory, now + 60)
    assert decision.action == action


def test_but_a_crisis_is_news_whatever_it_was_before():
    memory, now = came_down()
    again = example_view(spread=example_spread(q10=1300.0))
    _, memory = evaluate(RULES, again, memory, now)
    decision, _ = evaluate(RULES, again, memory, now + 60)
    assert (decision.action, decision.severity) == ("open", "crisis")


def test_a_severity_that_flickers_around_its_line_is_told_once():
    crisis = example_view(spread=example_spread(q10=1300.0))
    page = example_view(spread=example_spread(q10=100.0))
    decision, memory = after_hold(crisis)
    now, said = NOW + 100, [decision.action]
    for _ in range(5):
        for view in (page, crisis):
            for _ in range(10):
                now += 600
                decision, memory = evaluate(RULES, view, memory, now)
                said.append(decision.action)
    assert [action for action in said if action != "none"] == ["open", "lower"]


def test_a_flare_within_the_calm_starts_the_wait_anew():
    _, memory = after_hold(example_view())
    calm = example_view(spread=example_spread(p_viral=0.02))
    _, memory = evaluate(RULES, calm, memory, NOW + 100)
    _, memory = evaluate(RULES, example_view(), memory, NOW + 3000)
    _, memory = evaluate(RULES, example_view(), memory, NOW + 3100)
    assert memory.calm_since is None
    _, memory = evaluate(RULES, calm, memory, NOW + 3200)
    decision, _ = evaluate(RULES, calm, memory, NOW + 3200 + LOWER_AFTER_S - 1)
    assert decision.action == "none"


@pytest.mark.parametrize("expected", [10.0, 0.0], ids=["usual known", "usual not known"])
def test_a_story_past_its_line_comes_down_once_it_stops_growing(expected):
    crossed = example_view(spread=example_spread(voices=500))
    _, memory = after_hold(crossed)
    spent = example_view(spread=example_spread(voices=510, per_hour=3.0, expected_per_hour=expected))
    _, memory = evaluate(RULES, spent, memory, NOW + 100)
    decision, _ = evaluate(RULES, spent, memory, NOW + 100 + CLOSE_AFTER_S)
    assert decision.action == "close"


@pytest.mark.parametrize(("per_hour", "action"), [(19.0, "none"), (21.0, "open")])
def test_the_stragglers_of_a_story_past_its_line_open_nothing(per_hour, action):
    view = example_view(spread=example_spread(voices=500, per_hour=per_hour, expected_per_hour=0.0))
    assert after_hold(view)[0].action == action


def test_a_broken_rule_is_named_and_silences_no_other():
    def broken(sight):
        raise ConditionError(sight.view.story)

    bad = Rule(name="broken", severity="crisis", kinds=("story",), condition=broken, reason="")
    rules = RuleSet(rules=(bad, *RULES.rules), version="2")
    decision, _ = after_hold(example_view(), rules=rules)
    assert decision.rule == "going-viral"
    assert decision.errors == ("broken",)


def test_the_reason_holds_no_text_of_a_mention():
    decision, _ = after_hold(example_view(headline="<!channel> \x1b[31mgotcha"))
    assert "gotcha" not in decision.reason


views = st.builds(
    example_view,
    voices=st.integers(0, 12),
    complaint_share=st.floats(0, 1),
    promo_share=st.floats(0, 1),
    unread_share=st.floats(0, 1),
    brands_hit=st.integers(1, 3),
    spread=st.none()
    | st.builds(
        example_spread,
        p_viral=st.floats(0, 1),
        per_hour=st.floats(0, 100),
        voices=st.integers(0, 2000),
        q10=st.floats(0, 5000),
        minutes_to_viral=st.none() | st.floats(0, 1e5),
    ),
)


@given(st.lists(st.tuples(views, st.floats(0, 5000)), max_size=30))
def test_any_history_moves_one_step_at_a_time_and_memory_follows_the_decisions(steps):
    memory, standing, now = RuleMemory(), None, NOW
    for view, gap in steps:
        now += gap
        decision, memory = evaluate(RULES, view, memory, now)
        match decision.action:
            case "open":
                assert standing is None
                standing = decision.severity
            case "raise":
                assert rank(decision.severity) > rank(standing)
                standing = decision.severity
            case "lower":
                assert rank(decision.severity) < rank(standing)
                standing = decision.severity
            case "close":
                assert standing is not None
                standing = None
        assert memory.severity == standing
        assert decision.action == "none" or (decision.reason and decision.rule)
        if view.complaint_share < 0.12 and decision.action in {"open", "raise"}:
            assert decision.severity == "notify"


def passed_on(**changes):
    """A complaint that others pass on: few complain themselves."""
    return example_view(**{"complaint_share": 0.25, "negative_share": 0.4, "positive_share": 0.12} | changes)


def test_indignation_about_a_complaint_counts_as_complaining():
    decision, _ = after_hold(passed_on())
    assert (decision.rule, decision.severity) == ("going-viral", "page")


@pytest.mark.parametrize(
    "changes",
    [
        {"complaint_share": 0.08, "negative_share": 0.05, "positive_share": 0.47},
        {"complaint_share": 0.25, "negative_share": 0.3, "positive_share": 0.4},
        {"complaint_share": 0.1, "negative_share": 0.5, "positive_share": 0.05},
        {"promo_share": 0.7},
        {"complaint_share": 0.25, "negative_share": 0.0, "positive_share": 0.0},
    ],
    ids=["a giveaway", "two sides", "bad news without anyone wronged", "a campaign", "nobody takes a side"],
)
def test_what_is_no_complaint_is_a_notice(changes):
    decision, _ = after_hold(passed_on(**changes))
    assert decision.severity == "notify"


def test_a_budget_that_burns_slowly_is_a_notice_and_only_many_people_within_the_hour_are_a_page():
    decision, _ = after_hold(example_budget())
    assert (decision.action, decision.severity, decision.rule) == ("open", "notify", "cause-out-of-budget")
    assert decision.reason == (
        "51 people about on hold in 3 days, 1.7 times what its budget allows (280 people in 4 weeks, 43 % of it spent)"
    )
    fast = {"burn_5m": 15.0, "burn_1h": 16.0}
    assert after_hold(example_budget(**fast, people_1h=19))[0].severity == "notify"
    decision, _ = after_hold(example_budget(**fast, people_1h=20))
    assert (decision.severity, decision.rule) == ("page", "cause-out-of-budget-fast")


@pytest.mark.parametrize(
    "changes",
    [
        {"confident": False},
        {"burn_3d": 0.9},
        {"burn_6h": 0.9},  # it is over
        {"people_3d": 14},  # a small brand
        {"burn_6h": 7.0, "burn_30m": 0.0, "burn_3d": 0.7},
    ],
)
def test_a_budget_that_is_within_its_bounds_is_nobodys_matter(changes):
    assert after_hold(example_budget(**changes))[0].action == "none"


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, "open"),
        ({"authors": 39}, "none"),
        ({"same": 1, "cause": None}, "none"),
        ({"same": 1, "cause": None, "brands": (("a", 30), ("b", 20), ("c", 20))}, "open"),
    ],
)
def test_the_same_cause_in_two_brands_or_trouble_in_three_is_a_crisis(changes, action):
    decision, _ = after_hold(example_umbrella(**changes))
    assert decision.action == action
    if action == "open":
        assert (decision.severity, decision.rule) == ("crisis", "umbrella-crisis")
        assert "brands at once: " in decision.reason
