"""Conditions in CEL: what is taken, what is refused with a mend, and what cannot be evaluated."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.escalation import ConditionError
from monitor.escalation.example import example_budget, example_spread, example_umbrella, example_view, example_wave
from monitor.escalation.language import LanguageError, Sight, compile_condition
from monitor.escalation.names import NAMES


def holds(source, view=None, now=0.0, zone="UTC", **definitions):
    condition = compile_condition(source, definitions, zone)
    return condition(Sight([condition]).show(view or example_view(), now))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("story.authors > 30", True),
        ("story.authors > 37.5 && story.authors < 39", True),
        ("story.authors * 2 == 76", True),
        ("story.authors / 4 == 9.5", True),
        ("cause == 'cancelled_booking'", True),
        ("cause in ['rude_staff', 'on_hold']", False),
        ('cause.startsWith("cancelled") // a remark', True),
        ("cause.matches('^can.*ing$')", True),
        ("['cancelled', 'lost'].exists(word, cause.contains(word))", True),
        ("[10, 20].exists(n, story.authors / n > 3)", True),
        ("max(spread.p_viral, 0.9) >= 0.9", True),
        ("spread.minutes_to_viral < 90", True),
        ("!spread.crossed", True),
        ("spread.crossed ? false : complaint_share > 0.8", True),
        ("size(brand) > 3", True),
        ("size('four') == 4", True),
        ("spread.p_viral > .3 && -spread.p_viral < -.3", True),
        ("story.biggest_followers > 0", False),
    ],
)
def test_conditions_say_what_they_mean(source, said):
    assert holds(source) is said


def test_definitions_are_put_in_with_their_parentheses():
    definitions = {"loud": "story.authors > 30 || story.reach > 1000000", "angry": "loud && complaint_share > 0.5"}
    assert holds("angry && cause != ''", **definitions) is True
    assert holds("!loud", **definitions) is False


def test_the_hour_is_that_of_the_time_zone():
    winter = 1_767_225_600.0  # 2026-01-01T00:00:00Z, a Thursday
    assert holds("hour == 0 && weekday == 4", now=winter)
    assert holds("hour == 1 && weekday == 4", now=winter, zone="Europe/Berlin")
    assert holds("hour == 19 && weekday == 3", now=winter, zone="America/New_York")


@pytest.mark.parametrize(
    ("source", "mend"),
    [
        ("story.author > 3", "did you mean 'story.authors'?"),
        ("authors > 3", "did you mean 'story.authors'?"),
        ("p_viral > 0.3", "did you mean 'spread.p_viral'?"),
        ("sotry.authors > 3", "did you mean 'story.authors'?"),
        ("elephants > 3", "see the names"),
        ("story.authors % 2 == 0", "compare with the numbers"),
        ("cause > 3", "compare numbers with numbers"),
        ("complaint_share > 2 && cause > 3", "compare numbers with numbers"),
        ("story.authors + 2", "compare it with something"),
        ("'page'", "compare it with something"),
        ("story.authors > ", "see the language"),
        ("story.authors > 3 {", "take it out"),
        ("has(story.authors)", "known:"),
        ("maxx(story.authors, 3) > 1", "did you mean max()?"),
        ("cause.lower() == 'x'", "known:"),
        ("(" * 60 + "true" + ")" * 60, "split it"),
        ("story.authors > 3 || " * 400 + "true", "split it"),
        ("", "see the language"),
        ("story.authors > 99999999999999999999999", "see the language"),
        ("cause.matches('(')", "correct it"),
    ],
)
def test_what_will_not_do_is_refused_with_a_mend(source, mend):
    with pytest.raises(LanguageError, match=r"; ") as refused:
        compile_condition(source)
    assert mend in refused.value.mend


def test_a_definition_by_itself_is_refused():
    with pytest.raises(LanguageError, match="a > b > a"):
        compile_condition("a", {"a": "b", "b": "a"})


@pytest.mark.parametrize(
    "source",
    [
        "story.authors / 0 > 1",
        "1 / 0 > 0",
        "story.authors / story.own_replies > 1",
        "story.authors / (story.own_replies - 0) > 1",
        "story.authors / -story.own_replies < 1",
    ],
)
def test_a_division_by_zero_is_an_error_and_no_answer(source):
    with pytest.raises(ConditionError):
        holds(source)


def test_a_name_that_is_absent_is_an_error_and_never_the_value_of_the_view_before():
    condition = compile_condition("spread.p_viral > 0.5")
    sight = Sight([condition])
    assert condition(sight.show(example_view(), 0.0))
    with pytest.raises(ConditionError):
        condition(sight.show(example_wave(), 0.0))
    assert not condition(sight.show(example_view(spread=example_spread(p_viral=0.1)), 0.0))


def test_every_name_gives_its_type_for_one_kind_at_least():
    types = {"number": float, "text": str, "yes or no": bool, "whole": int}
    views = (example_view(), example_wave(), example_budget(), example_umbrella())
    for name in NAMES:
        values = [name.get(view, 0.0, ZoneInfo("UTC")) for view in views]
        found = [value for value in values if value is not None]
        assert found, name.name
        assert all(type(value) is types["whole" if name.whole else name.type] for value in found), name.name


WORDS = st.sampled_from(
    [*(name.name for name in NAMES), *"()[]+-*/!<>?:.,%", "&&", "||", "==", "!=", "<=", "1", "2.5", ".3", "0", "true",
     "null", "'x'", "in", "size", "min", ".exists(", "x", ".matches(", "1e3", "story", "cause", "0x1f", "1u", "r'\\d'"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_whatever_is_written_is_taken_or_refused_with_a_mend(source):
    try:
        condition = compile_condition(source)
    except LanguageError as error:
        refused = error
    else:
        sight = Sight([condition])
        for view in (example_view(), example_wave(), example_budget(), example_umbrella()):
            try:
                assert condition(sight.show(view, 0.0)) in (True, False)
            except ConditionError:
                continue
        return
    assert refused.problem
    assert refused.mend
