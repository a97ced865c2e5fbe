"""Rotas: turns, hand-overs on the nights when the clocks change, overrides, holidays, and calendars."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.oncall.calendar import CalendarError, export, read
from monitor.oncall.rota import Layer, Override, Rota, Window, joined

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400.0


def at(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def layer(first="2026-01-05", hour=9, days=7.0, people=("ana", "ben", "carla"), **more):
    start = datetime.combine(datetime.fromisoformat(first).date(), time(hour))
    return Layer(name="week", start=start, period=timedelta(days=days), people=people, **more)


def rota(*layers, **more):
    return Rota(name="desk", zone="Europe/Berlin", layers=layers or (layer(),), **more)


def test_turns_follow_each_other_at_the_wall_clocks_hour_all_year():
    desk = rota()
    for week in range(60):
        begins = (datetime(2026, 1, 5, 9, tzinfo=BERLIN) + timedelta(weeks=week)).timestamp()
        assert desk.who(begins) == ("ana", "ben", "carla")[week % 3]
        assert desk.who(begins - 1) == (None if not week else ("ana", "ben", "carla")[(week - 1) % 3])


def test_a_hand_over_at_midnight_on_the_night_the_clocks_go_back():
    desk = rota(layer("2026-10-20", 0, 1.0, ("ana", "ben")))
    shifts = desk.shifts(at("2026-10-24 00:00"), at("2026-10-27 00:00"))
    assert [(shift.person, (shift.end - shift.start) / 3600) for shift in shifts] == [
        ("ana", 24), ("ben", 25), ("ana", 24),
    ]  # fmt: skip


def test_a_hand_over_in_the_hour_that_the_night_has_twice_happens_the_first_time():
    desk = rota(layer("2026-10-20", 2, 1.0, ("ana", "ben")))
    first, second = at("2026-10-25 02:30"), at("2026-10-25 02:30", fold=1)
    assert second - first == 3600
    assert [desk.who(first - 3600), desk.who(first), desk.who(second)] == ["ana", "ben", "ben"]


def test_a_hand_over_in_the_hour_that_the_spring_night_skips_happens_when_it_is_over():
    desk = rota(layer("2026-03-24", 2, 1.0, ("ana", "ben")))
    change = at("2026-03-29 03:00")
    assert [desk.who(change - 1), desk.who(change)] == ["ana", "ben"]
    shifts = desk.shifts(at("2026-03-28 02:00"), at("2026-03-30 02:00"))
    assert [(shift.end - shift.start) / 3600 for shift in shifts] == [24, 23]


def test_shifts_of_half_a_day_keep_their_hours():
    desk = rota(layer("2026-10-20", 8, 0.5, ("day", "night")))
    for day in range(20, 31):
        assert desk.who(at(f"2026-10-{day} 08:00")) == "day"
        assert desk.who(at(f"2026-10-{day} 20:00")) == "night"


def test_the_last_layer_with_somebody_counts_and_its_hours_may_pass_midnight():
    night = layer(people=("nora",), only=Window(days=frozenset({5}), start=time(22), end=time(6)))
    desk = rota(layer(people=("ana",)), night)
    said = [
        desk.who(at(f"2026-01-{day:02} {hour:02}:00")) for day, hour in ((9, 21), (9, 22), (10, 5), (10, 6), (10, 23))
    ]
    assert said == ["ana", "nora", "nora", "ana", "ana"]


def test_overrides_and_holidays_and_who_is_away():
    desk = rota(
        holidays=frozenset({date(2026, 1, 6)}),
        on_holidays=("carla",),
        overrides=(
            Override(start=at("2026-01-06 12:00"), end=at("2026-01-06 18:00"), person="dora", why="swapped"),
            Override(start=at("2026-01-07 00:00"), end=at("2026-01-08 00:00"), person=None, instead_of="ana"),
            Override(start=at("2026-01-08 00:00"), end=at("2026-01-09 00:00"), person="eve", instead_of="ana"),
            Override(start=at("2026-01-05 09:00"), end=at("2026-01-30 00:00"), person="eve", instead_of="ben"),
        ),
    )
    said = [desk.turn(at(f"2026-01-{day:02} {hour:02}:00"))[0] for day, hour in
            ((5, 12), (6, 0), (6, 12), (6, 18), (7, 1), (8, 1), (9, 1), (13, 1))]  # fmt: skip
    assert said == ["ana", "carla", "dora", "carla", "carla", "eve", "ana", "eve"]
    assert desk.turn(at("2026-01-06 13:00")) == ("dora", "swapped")


def test_gaps_are_found_and_the_next_change_is_told():
    desk = rota(layer(people=("ana", "ben"), only=Window(days=frozenset({1, 2, 3, 4, 5}))))
    gaps = desk.gaps(at("2026-01-05 09:00"), at("2026-01-19 09:00"))
    assert [(datetime.fromtimestamp(gap.start, BERLIN).isoweekday(), gap.end - gap.start) for gap in gaps] == [
        (6, 2 * DAY), (6, 2 * DAY),
    ]  # fmt: skip
    following = desk.next_change(at("2026-01-09 12:00"))
    assert (following.start, following.person) == (at("2026-01-10 00:00"), None)


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.integers(0, 23),
    st.sampled_from([0.5, 1.0, 7.0, 14.0]),
    st.floats(0, 400),
    st.floats(0.1, 20),
)
def test_the_list_of_shifts_and_the_question_who_agree_and_leave_no_gap(zone, hour, days, start, length):
    desk = Rota(name="desk", zone=zone, layers=(layer("2026-01-01", hour, days),))
    begin = datetime(2026, 1, 2, tzinfo=UTC).timestamp() + start * DAY
    shifts = desk.shifts(begin, begin + length * DAY)
    assert shifts[0].start == begin
    assert shifts[-1].end == begin + length * DAY
    for one, other in pairwise(shifts):
        assert one.end == other.start
        assert one.person != other.person
    for shift in shifts:
        for moment in (shift.start, (shift.start + shift.end) / 2, shift.end - 1e-3):
            assert desk.who(moment) == shift.person


def test_a_rota_goes_to_a_calendar_and_comes_back():
    desk = rota(overrides=(Override(start=at("2026-10-24 12:00"), end=at("2026-10-25 12:00"), person="dora"),))
    start, end = at("2026-10-12 09:00"), at("2026-11-09 09:00")
    data = export(desk, start, end, stamp=start)
    assert data == export(desk, start, end, stamp=start)
    back = Rota(name="desk", zone="Europe/Berlin", layers=(Layer(name="cal", events=read(data, "UTC", start, end)),))
    assert [(s.start, s.end, s.person) for s in joined(back.shifts(start, end))] == [
        (s.start, s.end, s.person) for s in joined(desk.shifts(start, end))
    ]


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:test
{}
END:VCALENDAR
"""
WEEKLY = """BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Berlin:20261019T220000
DTEND;TZID=Europe/Berlin:20261020T060000
RRULE:FREQ=DAILY;COUNT=10
EXDATE;TZID=Europe/Berlin:20261021T220000
SUMMARY:On call: Ana
END:VEVENT
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
RECURRENCE-ID;TZID=Europe/Berlin:20261022T220000
DTSTART;TZID=Europe/Berlin:20261022T200000
DTEND;TZID=Europe/Berlin:20261023T060000
SUMMARY:Ben
END:VEVENT"""


def test_repeating_events_keep_their_hour_when_the_clocks_change_and_exceptions_count():
    shifts = read(CALENDAR.format(WEEKLY).encode(), "UTC", at("2026-10-01 00:00"), at("2026-12-01 00:00"))
    began = [(datetime.fromtimestamp(start, BERLIN).strftime("%d %H"), person) for start, _, person in shifts]
    assert began == [
        ("19 22", "Ana"), ("20 22", "Ana"), ("22 20", "Ben"), ("23 22", "Ana"), ("24 22", "Ana"), ("25 22", "Ana"),
        ("26 22", "Ana"), ("27 22", "Ana"), ("28 22", "Ana"),
    ]  # fmt: skip


def test_events_of_whole_days_are_days_where_the_rota_is():
    whole = "BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261025\nSUMMARY:Ana\nEND:VEVENT"
    ((start, end, person),) = read(CALENDAR.format(whole).encode(), "Europe/Berlin", 0.0, at("2027-01-01 00:00"))
    assert (start, end, person) == (at("2026-10-25 00:00"), at("2026-10-26 00:00"), "Ana")


@pytest.mark.parametrize(
    "event",
    [
        "BEGIN:VEVENT\nUID:1\nSUMMARY:Ana\nEND:VEVENT",
        "BEGIN:VEVENT\nUID:1\nDTSTART:20261025T000000Z\nDTEND:20261026T000000Z\nEND:VEVENT",
        "BEGIN:VEVENT\nUID:1\nDTSTART:20261025T000000Z\nDTEND:20261024T000000Z\nSUMMARY:Ana\nEND:VEVENT",
    ],
    ids=["no beginning", "nobody", "ends before it begins"],
)
def test_an_event_that_is_no_shift_is_refused(event):
    with pytest.raises(CalendarError, match="event"):
        read(CALENDAR.format(event).encode(), "UTC", 0.0, at("2027-01-01 00:00"))


def test_what_is_no_calendar_is_refused():
    for data in (b"", b"hello", b"\xff\xfe\x00", b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n"):
        with pytest.raises(CalendarError):
            read(data, "UTC", 0.0, 1.0)
