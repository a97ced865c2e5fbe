"""The on-call file and the directory over it: who is told, who next, and what is refused."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from monitor.config import RouteError, Settings, directory_of
from monitor.oncall import Directory, OnCallFileError, Recipient, Route, load_oncall

PEOPLE = ("ana", "ben", "carla", "dora")
NOW = datetime(2026, 2, 9, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
GOOD = """
zone: Europe/Berlin
teams:
  - {name: press, people: [carla, dora]}
rotas:
  - name: desk
    layers:
      - {from: 2026-01-05, every: 1w, hand_over: "09:00", people: [ana, ben]}
  - name: nights
    gaps: true
    layers:
      - {from: 2026-01-05, people: [dora], only: {from: "20:00", to: "08:00"}}
ladders:
  - name: main
    levels:
      - {to: [nights], wait: 5m}
      - {to: [desk]}
      - {to: [carla, dora], one_by_one: true, wait: 20m}
    repeat: 1
    catch_all: [press]
    manager: [carla]
deadlines:
  page: {acknowledge: 10m, answer: 2h, resolve: 1d}
quiet:
  - {people: [carla], below: page, from: "22:00", to: "07:00"}
  - {below: notify, days: [sat, sun]}
"""


def oncall_of(tmp_path, text, people=PEOPLE, now=NOW):
    path = tmp_path / "oncall.yaml"
    path.write_text(text)
    return load_oncall(path, people, now)


def problems_of(tmp_path, text):
    with pytest.raises(OnCallFileError) as refused:
        oncall_of(tmp_path, text)
    return [problem.partition("oncall.yaml:")[2] for problem in refused.value.problems]


def directory(tmp_path, *routes, text=GOOD):
    people = [Recipient(name=name, channels=("phone",)) for name in PEOPLE]
    return Directory.of(people, routes or [Route(recipient="main")], oncall_of(tmp_path, text))


ASK = {"umbrella": "aurora", "brand": "aurora", "severity": "page", "rule": "going-viral", "route": ""}


def people(rung):
    return [name for name, _ in rung.pairs]


def test_a_ladder_is_climbed_and_a_level_with_nobody_is_skipped_and_said(tmp_path):
    told = directory(tmp_path)
    first = told.step(**ASK, number=0, at=NOW)
    assert (people(first), first.number) == (["ben"], 1)
    assert first.said == "level 1 of main (nights) has nobody on call: skipped"
    night = told.step(**ASK, number=0, at=NOW + 10 * 3600)
    assert (people(night), night.number, night.said) == (["dora"], 0, "")
    assert [told.step(**ASK, number=number, at=NOW).again for number in (0, 3, 4, 7, 8)] == [
        False, False, True, True, False,
    ]  # fmt: skip
    steps = [people(told.step(**ASK, number=number, at=NOW)) for number in (2, 3, 4, 6, 8, 9)]
    assert steps == [["carla"], ["dora"], ["ben"], ["carla"], ["carla", "dora"], []]


def test_the_plan_has_each_steps_wait_and_the_deadlines_of_the_severity(tmp_path):
    told = directory(tmp_path)
    plan = told.plan(**ASK)
    assert plan.waits == (300, 600, 1200, 1200, 300, 600, 1200, 1200)
    assert (plan.answer, plan.resolve, plan.again) == (7200, 86_400, 600)
    assert told.plan(**{**ASK, "severity": "crisis"}).answer is None


def test_two_ladders_are_climbed_side_by_side(tmp_path):
    text = GOOD.replace("ladders:", "ladders:\n  - {name: other, levels: [{to: [ana], wait: 2m}, {to: [dora]}]}")
    told = directory(tmp_path, Route(recipient="main"), Route(recipient="other"), text=text)
    assert told.plan(**ASK).waits[:3] == (120, 600, 1200)
    assert people(told.step(**ASK, number=0, at=NOW)) == ["ben", "ana"]
    assert people(told.step(**ASK, number=1, at=NOW)) == ["ben", "dora"]
    assert people(told.step(**ASK, number=2, at=NOW)) == ["carla"]


def test_a_route_with_a_name_is_for_the_rules_that_ask_for_it(tmp_path):
    told = directory(tmp_path, Route(recipient="main"), Route(recipient="press", name="bags", severity="notify"))
    assert people(told.step(**ASK, number=1, at=NOW)) == ["ben"]
    assert people(told.step(**{**ASK, "route": "bags"}, number=0, at=NOW)) == ["carla", "dora"]
    assert people(told.step(**{**ASK, "route": "unknown"}, number=1, at=NOW)) == ["ben"]


def test_managers_teams_and_owners_are_reached(tmp_path):
    told = directory(tmp_path)
    assert told.manager(umbrella="aurora", brand="aurora", severity="page", at=NOW) == (("carla", "phone"),)
    assert told.reach("desk", NOW) == (("ben", "phone"),)
    assert told.reach("nobody", NOW) == ()


def test_quiet_hours_hold_what_is_less_severe_until_they_end(tmp_path):
    told = directory(tmp_path)
    zone = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 3, 28, 23, tzinfo=zone).timestamp()  # the clocks go forward in this night
    morning = datetime(2026, 3, 29, 7, tzinfo=zone).timestamp()
    assert told.hold("carla", "notify", night) == morning
    assert told.hold("carla", "page", night) is None
    assert told.hold("ana", "notify", night) is None
    assert told.hold("ana", "info", night) == datetime(2026, 3, 29, tzinfo=zone).timestamp()
    assert told.hold("carla", "notify", morning) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("people: [ana, ben]", "people: [ana, bne]", 8, "did you mean 'ben'?"),
        ("Europe/Berlin", "Europe/Berlim", 2, "write it as in Europe/Lisbon"),
        ("every: 1w", "every: 90m", 8, "write 12h, 1d or 1w"),
        ("every: 1w", "every: often", 8, "write 10m, 2h, 1d or 1w"),
        ('"09:00"', '"9 o clock"', 8, '"09:00"'),
        ("from: 2026-01-05, every", "every", 8, "add `from: 2026-01-05`"),
        ("from: 2026-01-05, every", "from: 2026-03-05, every", 6, "the rota 'desk' has nobody on call"),
        ("from: 2026-01-05, every", "from: '2026-02-30', every", 8, "write it as 2026-12-25"),
        ("    gaps: true\n", "", 9, "from 2026-02-09 12:00 to 2026-02-09 20:00 (Europe/Berlin)"),
        ("[nights]", "[nihgts]", 16, "did you mean 'nights'?"),
        ("name: press", "name: ana", 4, "give it another"),
        ("repeat: 1", "repeat: 99", 19, "10 at most"),
        ("acknowledge: 10m", "aknowledge: 10m", 23, "did you mean 'acknowledge'?"),
        ("below: page", "below: pages", 25, "give one of info"),
        ("    gaps: true", "    gap: true", 10, "did you mean 'gaps'?"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_line_and_mend(tmp_path, old, new, line, said):
    assert old in GOOD
    problem = problems_of(tmp_path, GOOD.replace(old, new, 1))[0]
    assert problem.startswith(f"{line}: "), problem
    assert said in problem


def test_a_ladder_that_reaches_nobody_at_some_moment_is_refused(tmp_path):
    text = GOOD.replace("    catch_all: [press]\n", "").replace("{to: [desk]}", "{to: [nights]}")
    text = text.replace("      - {to: [carla, dora], one_by_one: true, wait: 20m}\n", "")
    (problem,) = problems_of(tmp_path, text)
    assert "the ladder 'main' reaches nobody from 2026-02-09 12:00 to 2026-02-09 20:00" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{person: ben, from: 2026-03-02 09:00, to: 2026-03-01 09:00}", "ends before it begins"),
        ("{person: ben, from: 2026-03-02T09:00:00+01:00, to: 2026-03-05}", "without one"),
        ("{person: ben, to: 2026-03-05}", "'from' is missing"),
        ("{person: ben, from: soon, to: 2026-03-05}", "write it as in 2026-12-24 18:00"),
        ("{person: eve, from: 2026-03-02, to: 2026-03-05}", "'eve' is no recipient"),
    ],
)
def test_a_bad_override_is_refused(tmp_path, text, said):
    bad = GOOD.replace("  - name: nights", f"    overrides:\n      - {text}\n  - name: nights")
    assert said in problems_of(tmp_path, bad)[0]


def test_a_calendar_is_a_layer_and_a_missing_one_is_refused(tmp_path):
    text = GOOD.replace(
        "      - {from: 2026-01-05, people: [dora]",
        "      - {calendar: nights.ics}\n      - {from: 2026-01-05, people: [dora]",
    )
    assert "nights.ics cannot be read" in problems_of(tmp_path, text)[0]
    event = "BEGIN:VEVENT\nUID:1\nDTSTART:20260210T120000Z\nDTEND:20260210T130000Z\nSUMMARY:{}\nEND:VEVENT"
    (tmp_path / "nights.ics").write_text(f"BEGIN:VCALENDAR\n{event.format('ben')}\nEND:VCALENDAR\n")
    found = oncall_of(tmp_path, text)
    assert found.rotas["nights"].who(datetime(2026, 2, 10, 12, 30, tzinfo=ZoneInfo("UTC")).timestamp()) == "ben"
    assert [path.endswith("nights.ics") for path in found.calendars] == [True]
    (tmp_path / "nights.ics").write_text(f"BEGIN:VCALENDAR\n{event.format('eve')}\nEND:VCALENDAR\n")
    assert "'eve' is no recipient" in problems_of(tmp_path, text)[0]


def test_a_calendar_alone_must_cover_its_own_time_and_the_next_day(tmp_path):
    def event(first, last):
        return f"BEGIN:VEVENT\nUID:{first}\nDTSTART:{first}T000000Z\nDTEND:{last}T000000Z\nSUMMARY:ben\nEND:VEVENT\n"

    text = "rotas: [{name: desk, layers: [{calendar: shifts.ics}]}]"
    for events, said in (
        ([("20260201", "20260220"), ("20260220", "20260401")], None),
        ([("20260201", "20260220"), ("20260221", "20260401")], "from 2026-02-20 00:00 to 2026-02-21 00:00 (UTC)"),
        ([("20260201", "20260210")], "from 2026-02-10 00:00 to 2026-02-10 11:00 (UTC)"),
    ):
        body = "".join(event(*one) for one in events)
        (tmp_path / "shifts.ics").write_text(f"BEGIN:VCALENDAR\n{body}END:VCALENDAR\n")
        if said is None:
            oncall_of(tmp_path, text)
        else:
            assert said in problems_of(tmp_path, text)[0]


def settings_of(tmp_path, routes, text=GOOD):
    (tmp_path / "oncall.yaml").write_text(text)
    recipients = [{"name": name, "channels": [{"name": f"{name}-t", "type": "terminal"}]} for name in PEOPLE]
    return Settings.model_validate({"recipients": recipients, "routes": routes, "oncall": tmp_path / "oncall.yaml"})


def test_the_configuration_leads_to_ladders_and_is_refused_where_a_route_leads_nowhere(tmp_path):
    found = directory_of(settings_of(tmp_path, [{"to": ["main"], "severity": "page"}]), now=NOW)
    assert people(found.step(**ASK, number=0, at=NOW)) == ["ben"]
    for routes, said in (
        ([{"to": ["mian"]}], "names 'mian'; known: ana"),
        ([{"to": ["nights"]}], "which has gaps"),
        ([], "no route leads to the ladders"),
    ):
        with pytest.raises(RouteError, match=said):
            directory_of(settings_of(tmp_path, routes), now=NOW)


def test_the_simple_form_has_no_ladder_and_nothing_is_timed():
    told = Directory.of([Recipient(name="ana", channels=("phone",))], [Route(recipient="ana")])
    assert people(told.step(**ASK, number=0, at=NOW)) == ["ana"]
    assert people(told.step(**ASK, number=1, at=NOW)) == []
    assert told.plan(**ASK).waits == ()
    assert told.hold("ana", "notify", NOW) is None
