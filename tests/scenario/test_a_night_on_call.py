"""Stories of nights on call, from the rules to the page, on a virtual clock."""

from random import Random

from msgspec import structs

from monitor.clock import VirtualClock
from monitor.escalation import RuleMemory, default_rules, evaluate
from monitor.escalation.example import START, example_spread, example_view
from monitor.incident import (
    Acknowledged,
    Answered,
    Dismissed,
    Resolved,
    advance,
    crossing,
    from_decision,
    merging,
    replay,
)
from monitor.oncall import Directory, Recipient, Route
from monitor.page import Delivery, Dispatcher, build_facts, headline, merge_backlog, outgoing
from monitor.page.memory import MemoryOutbox

MINUTE, HOUR = 60.0, 3600.0
PEOPLE = Directory.of(
    [
        Recipient(name="ana", channels=("phone",)),
        Recipient(name="boss", channels=("phone",)),
        Recipient(name="pr", channels=("mail",)),
    ],
    [
        Route(recipient="ana", severity="page"),
        Route(recipient="boss", severity="crisis"),
        Route(recipient="pr", severity="notify", until="notify"),
    ],
)
QUIET = {"p_viral": 0.01, "per_hour": 1.0}


class Phone:
    """A channel that keeps what arrived; while `down`, nothing does."""

    exactly_once = True

    def __init__(self, name):
        self.name, self.down, self.pages = name, False, []

    async def send(self, page):
        if self.down:
            return Delivery("retry", "no answer")
        self.pages.append(page)
        return Delivery("accepted")

    async def check(self):
        return None

    async def close(self):
        pass


class Night:
    """One umbrella's stories, incidents, outbox and dispatcher; a minute at a time."""

    def __init__(self):
        self.clock = VirtualClock(START + 2400)
        self.rules, self.outbox = default_rules(), MemoryOutbox()
        self.views, self.memories, self.incidents, self.logs = {}, {}, {}, {}
        self.phone, self.mail = Phone("phone"), Phone("mail")
        self.dispatcher = Dispatcher(
            self.outbox, {"phone": self.phone, "mail": self.mail}, clock=self.clock, random=Random(1)
        )
        self.held_back = None

    def story(self, name="s1", **changes):
        """Say how a story stands from now on; names of the spread's and forecast's fields go there."""
        names = {*example_spread().__struct_fields__, "p_viral", "q10", "q50", "q90", "minutes_to_viral"} - {"voices"}
        spread = {key: changes.pop(key) for key in list(changes) if key in names}
        if "voices" in changes:
            spread["voices"] = changes["voices"]
        self.views[name] = example_view(story=name, spread=example_spread(**spread), **changes)

    async def forward(self, seconds):
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(MINUTE)
            self.decide()
            while await self.dispatcher.step():
                pass

    def decide(self):
        now = self.clock.now()
        for name, view in self.views.items():
            fresh = structs.replace(view, last_at=now - 5, spread=structs.replace(view.spread, at=now))
            decision, self.memories[name] = evaluate(self.rules, fresh, self.memories.get(name, RuleMemory()), now)
            incident = self.of(name)
            event = from_decision(incident, decision, fresh, now)
            if event is not None:
                incident = self.change(incident, event, fresh, decision)
            if incident is not None and (crossed := crossing(incident, fresh, now)):
                self.change(incident, crossed)

    def of(self, story):
        return next((one for one in self.incidents.values() if one.story == story and not one.merged_into), None)

    def person(self, kind, story="s1", by="ana", why=""):
        return self.change(self.of(story), kind(at=self.clock.now(), by=by, why=why))

    def change(self, incident, event, view=None, decision=None):
        step = advance(incident, event, PEOPLE)
        now, about = self.clock.now(), type(event).__struct_config__.tag
        facts = build_facts(step.incident, about=about, at=now, view=view, decision=decision)
        pages = outgoing(step.intents, step.incident, facts, decided_at=now, created_at=now)
        self.incidents[step.incident.id] = step.incident
        self.logs.setdefault(step.incident.id, []).extend(step.events)
        self.outbox.states[step.incident.id] = (step.incident.state, step.incident.severity)
        if self.held_back is None:
            self.outbox.put(*pages)
        else:
            self.held_back += pages
        return step.incident

    def heard(self, recipient="ana"):
        """What a person has got so far, in order."""
        pages = self.phone.pages + self.mail.pages
        return [(page.purpose, page.facts["about"]) for page in pages if page.recipient == recipient]


async def test_a_complaint_spreads_in_the_night_and_the_one_on_call_is_told_once_and_in_time():
    night = Night()
    night.story(size=12, voices=6, p_viral=0.2)
    await night.forward(20 * MINUTE)
    assert night.heard() == []

    night.story(size=46, voices=38, p_viral=0.82)
    await night.forward(5 * MINUTE)
    assert night.heard() == [("first", "opened")]
    assert headline(night.phone.pages[0]).startswith("PAGE aurora-grand-lisbon: Left outside at midnight")

    night.person(Acknowledged)
    night.story(size=300, voices=250, p_viral=0.97)
    await night.forward(50 * MINUTE)
    night.story(size=500, voices=410)
    await night.forward(10 * MINUTE)
    assert night.heard() == [("first", "opened")]

    incident = night.of("s1")
    assert incident.owner == "ana"
    assert incident.crossed_at - incident.paged_at == 54 * MINUTE  # the lead
    assert replay(night.logs[incident.id]) == incident


async def test_answered_it_dies_down_closes_itself_and_says_so():
    night = Night()
    night.story()
    await night.forward(3 * MINUTE)
    night.person(Acknowledged)
    night.person(Answered, why="apology and refund posted")
    night.story(**QUIET)
    await night.forward(70 * MINUTE)
    assert (night.of("s1").severity, night.of("s1").state) == ("notify", "answered")
    assert night.heard() == [("first", "opened")]
    await night.forward(3 * HOUR)
    assert night.of("s1").state == "resolved"
    assert night.heard() == [("first", "opened"), ("notice", "resolved")]
    assert "calm for 3 h" in night.phone.pages[-1].facts["reason"]


async def test_it_flares_up_again_and_the_same_owner_is_told():
    night = Night()
    night.story()
    await night.forward(3 * MINUTE)
    night.person(Answered, by="carla")
    night.story(**QUIET)
    await night.forward(4 * HOUR)
    night.story(size=90, voices=80, p_viral=0.9)
    await night.forward(3 * MINUTE)
    incident = night.of("s1")
    assert (incident.state, incident.cycle, incident.owner) == ("open", 2, "carla")
    assert night.heard() == [("first", "opened"), ("notice", "resolved"), ("reopened", "reopened")]


async def test_nobody_answers_and_it_dies_down_the_owner_keeps_it_but_sleeps():
    night = Night()
    night.story()
    await night.forward(3 * MINUTE)
    night.person(Acknowledged)
    night.story(**QUIET)
    await night.forward(12 * HOUR)
    incident = night.of("s1")
    assert (incident.state, incident.severity) == ("acknowledged", "notify")
    assert night.heard() == [("first", "opened")]


async def test_it_becomes_a_crisis_and_the_boss_hears_of_it_too():
    night = Night()
    night.story()
    await night.forward(3 * MINUTE)
    night.story(size=1500, voices=1300)
    await night.forward(3 * MINUTE)
    assert night.heard("ana") == [("first", "opened"), ("raised", "raised")]
    assert night.heard("boss") == [("raised", "raised")]


async def test_what_is_no_complaint_wakes_nobody():
    night = Night()
    night.story("praise", complaint_share=0.02, positive_share=0.95)
    night.story("giveaway", promo_share=0.9)
    night.story("one furious author", voices=1, size=20)
    night.story("an old story again", per_hour=11.0, p_viral=0.9)
    await night.forward(2 * HOUR)
    assert night.heard("ana") == []
    assert night.heard("pr") == [("notice", "opened")] * 2
    assert night.of("one furious author") is None
    assert night.of("an old story again") is None


async def test_the_phone_is_down_for_an_hour_and_then_rings_once():
    night = Night()
    night.phone.down = True
    night.story()
    await night.forward(HOUR)
    assert night.heard() == []
    night.phone.down = False
    await night.forward(10 * MINUTE)
    assert night.heard() == [("first", "opened")]


async def test_the_phone_comes_back_when_all_is_over_and_stays_silent():
    night = Night()
    night.phone.down = True
    night.story()
    await night.forward(30 * MINUTE)
    night.person(Resolved, by="carla", why="refunded")
    night.views.clear()
    night.phone.down = False
    await night.forward(HOUR)
    assert night.heard() == []
    assert [night.outbox.status(key) for key in night.outbox.rows] == ["cancelled", "cancelled"]
    assert (await night.outbox.depth()).unsettled == 0


async def test_a_false_alarm_stays_silent_until_it_is_a_crisis():
    night = Night()
    night.story()
    await night.forward(3 * MINUTE)
    night.person(Dismissed, why="our own campaign")
    await night.forward(30 * MINUTE)
    night.story(**QUIET)
    await night.forward(4 * HOUR)
    night.story(p_viral=0.9)
    await night.forward(10 * MINUTE)
    assert night.heard() == [("first", "opened")]
    night.story(size=1500, voices=1300)
    await night.forward(10 * MINUTE)
    assert night.heard() == [("first", "opened"), ("reopened", "reopened")]
    assert night.heard("boss") == [("reopened", "reopened")]


async def test_two_stories_turn_out_to_be_one_matter_and_nobody_is_paged_again():
    night = Night()
    night.story("s1")
    night.story("s2", headline="The hotel gave our room away")
    await night.forward(3 * MINUTE)
    assert night.heard() == [("first", "opened")] * 2
    one, two = night.of("s1"), night.of("s2")
    night.person(Acknowledged, "s2")
    del night.views["s2"]
    for incident, event in merging(night.of("s2"), one, "s1", night.clock.now()):
        night.change(incident, event)
    await night.forward(30 * MINUTE)
    assert night.heard() == [*[("first", "opened")] * 2, ("notice", "merged")]
    assert night.incidents[two.id].merged_into == one.id
    assert night.of("s1").owner == "ana"
    assert night.phone.pages[-1].facts["incident"]["merged_into"] == one.id


async def test_a_story_without_incident_takes_over_the_one_of_the_story_it_swallowed():
    night = Night()
    night.story("s1")
    await night.forward(3 * MINUTE)
    before = night.of("s1")
    for incident, event in merging(before, None, "s2", night.clock.now()):
        night.change(incident, event)
    night.memories["s2"] = night.memories.pop("s1")
    del night.views["s1"]
    night.story("s2", size=120)
    await night.forward(30 * MINUTE)
    assert night.of("s2").id == before.id
    assert night.heard() == [("first", "opened")]


async def test_after_six_hours_of_outage_there_is_one_page_that_says_since_when():
    night = Night()
    night.held_back = []
    began = night.clock.now()
    for number in range(5):
        night.story(f"s{number}")
    await night.forward(6 * HOUR)
    now = night.clock.now()
    night.outbox.put(*merge_backlog(night.held_back, since=began, decided_at=now, created_at=now))
    night.held_back = None
    await night.forward(30 * MINUTE)
    (page,) = night.phone.pages
    assert headline(page) == "PAGE 5 incidents while nothing could be sent, since 2030-03-17 18:26 UTC"
