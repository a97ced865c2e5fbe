"""Facts and the text made of them: what a page says, its size, and that hostile text does no harm."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.escalation import Quote, RuleMemory, default_rules, evaluate
from monitor.escalation.example import START, example_spread, example_view, example_wave
from monitor.escalation.wording import figures
from monitor.incident import Dismissed, Resolved, advance, apply, from_decision
from monitor.oncall import Directory, Recipient, Route
from monitor.page import build_facts, headline, merge_backlog, outgoing, render
from monitor.page.render import MAX_LINES, WIDTH, columns

ROUTES = Directory.of([Recipient(name="ana", channels=("terminal",))], [Route(recipient="ana", severity="notify")])


def opened(view):
    _, memory = evaluate(default_rules(), view, RuleMemory(), START + 1800)
    decision, _ = evaluate(default_rules(), view, memory, START + 2460)
    return decision, advance(None, from_decision(None, decision, view, START + 2460), ROUTES)


def page_of(view, **changes):
    decision, step = opened(view)
    facts = build_facts(step.incident, about="opened", at=START + 2460, view=view, decision=decision)
    (page,) = outgoing(step.intents, step.incident, facts, decided_at=START + 2460, created_at=1.0)
    return structs.replace(page, **changes)


def test_the_page_says_what_why_now_how_sure_and_who():
    page = page_of(example_view())
    assert headline(page) == (
        "PAGE aurora-grand-lisbon: Left outside at midnight with two children, reservation cancelled by the hotel"
    )
    text = " ".join(render(page).split())
    for said in (
        "Why now 38 people in 40 min, 6 times the usual; 82 % likely to pass 400 people (median in 1 h 10 min)",
        "Forecast ends near 640 people (80 %: 210 to 2,900); viral line 400, near 2030-03-17 19:36 UTC",
        "How sure 82 % by the forecast; but wide: it may end at 210 or at 2,900 people",
        "Cause cancelled booking",
        "Biggest ana (84,000 followers), 17:46: They gave our room away.",
        "Owner nobody yet; nobody has answered the customers",
        "opened 2030-03-17 18:27 UTC by going-viral of default-3",
    ):
        assert said in text


def test_facts_are_plain_json_without_infinities():
    line = structs.replace(example_spread().line, size=float("inf"))
    view = example_view(spread=example_spread(line=line, per_hour=float("inf")))
    decision, step = opened(example_view())
    facts = build_facts(step.incident, about="opened", at=START, view=view, decision=decision)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["forecast"]["line"] is None
    assert render(structs.replace(page_of(example_view()), facts=facts))


def test_a_wave_reads_as_a_wave():
    text = " ".join(render(page_of(example_wave())).split())
    assert "54 complaints in 1 h where 9 are usual (at most 17)" in text
    assert "usual here is 4 to 17, baseline known" in text


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        (
            {"expected": 0.0, "low": 0.0, "high": 1.0, "confident": False},
            (
                "54 complaints in 1 h (what is usual is not known yet), from 41 people",
                "what is usual here is not known",
            ),
            ("0.0", "0 are usual", "at most", "usual here is 0"),
        ),
        (
            {"expected": 0.04, "low": 0.0, "high": 1.3},
            ("54 complaints in 1 h where hardly any are usual, from 41 people", "usual here is 0 to 1, baseline known"),
            ("0.0", "at most", "not known"),
        ),
    ],
    ids=["no history", "a quiet brand"],
)
def test_a_page_says_of_what_is_usual_only_what_is_known(changes, said, unsaid):
    view = example_wave(**changes)
    decision, step = opened(example_wave())
    decision = structs.replace(decision, reason=f"{figures(view)['wave']}, from 41 people")
    page, facts = (
        page_of(example_wave()),
        build_facts(step.incident, about="opened", at=START, view=view, decision=decision),
    )
    text = " ".join(render(structs.replace(page, facts=facts)).split())
    assert [part for part in said if part not in text] == [], text
    assert [part for part in unsaid if part in text] == [], text


@pytest.mark.parametrize(("event", "word"), [(Resolved, "RESOLVED"), (Dismissed, "DISMISSED")])
def test_the_end_is_said_shortly(event, word):
    _, step = opened(example_view())
    incident = apply(step.incident, event(at=START + 9000, by="ana", why="refunded and apologised"))
    facts = build_facts(incident, about=word.lower(), at=START + 9000)
    page = structs.replace(page_of(example_view()), purpose="notice", facts=facts)
    assert headline(page).startswith(f"{word} aurora-grand-lisbon: Left outside")
    assert "refunded and apologised" in render(page)
    assert len(render(page).splitlines()) < 8


def test_a_repeat_is_marked_even_if_the_headline_is_long():
    page = page_of(example_view(headline="x" * 300), may_be_repeat=True)
    assert headline(page).endswith(" (may be a repeat)")
    assert len(headline(page)) <= 120


HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\r\nPAGE fake\u202egnp.exe\u2066 <!channel> @everyone \x00\u200b\ud800" + "\u0301" * 500
)


def test_hostile_text_moves_nothing_on_a_terminal():
    view = example_view(
        headline=HOSTILE,
        sources=((HOSTILE, 3),),
        quotes=(
            Quote(HOSTILE, HOSTILE, 10**18, START, "javascript:alert(1)"),
            Quote("ok", "a", 1, START, "http://a b"),
        ),
    )
    page = page_of(view)
    text = render(page)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert all(quote["url"] is None for quote in page.facts["quotes"])
    assert not any(line.startswith("PAGE fake") for line in text.splitlines())
    text.encode("utf-8")


texts = st.text(st.characters(), max_size=400)


@settings(max_examples=150)
@given(
    texts,
    st.lists(st.builds(Quote, texts, texts, st.none() | st.integers(0, 10**18), st.just(START)), max_size=4),
)
def test_any_page_fits_a_terminal(title, quotes):
    page = page_of(example_view(headline=title, quotes=tuple(quotes)))
    lines = render(page).splitlines()
    assert len(lines) <= MAX_LINES < 25
    assert max(columns(line) for line in lines) <= WIDTH
    assert len(headline(page)) <= 120
    assert "\n" not in headline(page)


def test_wide_characters_are_cut_by_their_columns():
    lines = render(page_of(example_view(headline="東京" * 60))).splitlines()
    assert max(columns(line) for line in lines) <= WIDTH


def backlog_pages():
    one = page_of(example_view())
    two = structs.replace(page_of(example_wave()), incident="i2", severity="crisis", recipient="ana")
    other = structs.replace(one, recipient="ben")
    notice = structs.replace(one, incident="i3", purpose="notice", severity="notify")
    return [one, two, other, notice]


def merged(pages):
    return merge_backlog(pages, since=START, decided_at=START + 6 * 3600, created_at=9.0)


def test_after_an_outage_each_recipient_gets_one_page_that_says_since_when():
    ana, ben = merged(backlog_pages())
    assert (ana.recipient, ana.purpose, ana.severity) == ("ana", "backlog", "crisis")
    assert [row["severity"] for row in ana.facts["incidents"]] == ["crisis", "page"]  # the notice is left out
    assert len(ben.facts["incidents"]) == 1
    assert headline(ana) == "CRISIS 2 incidents while nothing could be sent, since 2030-03-17 17:46 UTC"
    assert "decided 2030-03-17 23:46 UTC" in render(ana)
    assert ana.key != ben.key


def test_merging_a_backlog_with_what_came_later_is_merging_all_at_once():
    one, two, *_ = backlog_pages()
    (first,) = merged([one])
    (both,) = merged([first, two])
    (at_once,) = merged([one, two])
    assert both.facts == at_once.facts
    assert both.key == at_once.key


def test_a_long_backlog_still_fits():
    one = page_of(example_view(headline="long words " * 30))
    (page,) = merged([structs.replace(one, incident=f"i{number}") for number in range(300)])
    lines = render(page).splitlines()
    assert len(lines) <= MAX_LINES
    assert "and 292 more" in lines[-1]
