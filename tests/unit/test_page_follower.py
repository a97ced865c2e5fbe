"""Messages elsewhere follow their incident: once each change, later where the receiver fails."""

from types import SimpleNamespace

from monitor.clock import VirtualClock
from monitor.incident import Acknowledged, Resolved, apply
from monitor.page import Delivery
from monitor.page.follower import Follower, Follows
from tests.support.receivers import NOW, a_page
from tests.unit.test_incident_machine import opened


class Channel:
    exactly_once = False

    def __init__(self, *answers):
        self.name, self.answers, self.pages = "desk", list(answers) or [Delivery("accepted")], []

    async def send(self, page):
        raise NotImplementedError

    async def follow(self, page):
        self.pages.append(page)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def check(self):
        return None

    async def close(self):
        pass


class Mirrors:
    def __init__(self, *incidents):
        self.rows = [
            SimpleNamespace(recipient="ana", channel="desk", thread=f"t{n}", incident=one, facts=a_page().facts)
            for n, one in enumerate(incidents)
        ]

    async def behind(self, channels, limit=100):
        return [row for row in self.rows if row.channel in channels][:limit]

    async def shown(self, done):
        self.rows.remove(done)


def incident(*events):
    found = apply(None, opened())
    for event in events:
        found = apply(found, event)
    return found


def house(channel, *incidents):
    clock, mirrors = VirtualClock(NOW), Mirrors(*incidents)
    return clock, mirrors, Follower(mirrors, {"desk": channel, "mail": object()}, clock=clock)


async def test_a_message_shows_who_took_it_and_how_it_ended():
    taken = incident(Acknowledged(at=200.0, by="ben"))
    over = apply(taken, Resolved(at=300.0, by="ben", why="refunded"))
    channel = Channel()
    _, mirrors, follower = house(channel, taken, over)
    assert await follower.step() == 2
    assert mirrors.rows == []
    one, two = channel.pages
    assert (one.facts["owner"], one.facts["incident"]["state"], one.thread) == ("ben", "acknowledged", "t0")
    assert one.facts["quotes"], "what is known of the story stays on the message"
    assert (two.facts["about"], two.facts["reason"]) == ("resolved", "refunded")
    assert await follower.step() == 0


async def test_a_receiver_that_fails_is_left_alone_for_a_while_and_then_tried_again():
    channel = Channel(
        Delivery("retry", "HTTP 500"), Delivery("retry", "HTTP 429", retry_after=30.0), Delivery("accepted")
    )
    clock, mirrors, follower = house(channel, incident(), incident())
    assert await follower.step() == 0
    assert await follower.step() == 0
    assert len(channel.pages) == 1
    clock.advance(2)
    assert await follower.step() == 0
    clock.advance(20)
    assert await follower.step() == 0
    assert len(channel.pages) == 2
    clock.advance(20)
    assert await follower.step() == 2
    assert mirrors.rows == []


async def test_what_is_refused_is_not_tried_until_the_incident_changes_again():
    channel = Channel(Delivery("refused", "message_not_found"))
    _, mirrors, follower = house(channel, incident())
    await follower.step()
    assert mirrors.rows == []


def test_only_channels_whose_messages_can_be_changed_are_followed():
    assert isinstance(Channel(), Follows)
    assert not isinstance(object(), Follows)
