"""Who is told of what, over which channels, and when again: people, routes, rotas and ladders, as configured.

Nothing here knows brands' ancestry: a route's scope is spelled out when the configuration is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.incident.pages import Rung
from monitor.incident.timers import Plan
from monitor.oncall.ladder import WAIT_S, Deadlines, OnCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.oncall.ladder import Ladder

SEVERITIES = ("info", "notify", "page", "crisis")
ANY = "*"


class UnknownRecipient(KeyError):  # noqa: N818 -- says what is wrong in the word itself
    """A route names a recipient that is not in the directory."""


class Recipient(Struct, frozen=True, kw_only=True):
    """A person, a team or a machine that pages go to, and over which channels, best first."""

    name: str
    channels: tuple[str, ...]


class Route(Struct, frozen=True, kw_only=True):
    """Incidents of these brands, from this severity on, go to this recipient, rota, team or ladder.

    `brands` are brand ids, an umbrella's among them if the whole umbrella is meant, or "*". `channels` overrides the
    recipient's own; `rules`, if any, limits the route to incidents of these rules; `until` leaves out what is more
    severe (a route for notices only). A route with a `name` is for the rules that ask for it.
    """

    recipient: str
    brands: frozenset[str] = frozenset({ANY})
    severity: str = "page"
    until: str = "crisis"
    channels: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()
    name: str = ""

    def matches(self, *, umbrella: str, brand: str, severity: str, rule: str) -> bool:
        """Return whether an incident takes this route."""
        low, high = SEVERITIES.index(self.severity), SEVERITIES.index(self.until)
        return (
            low <= SEVERITIES.index(severity) <= high
            and (ANY in self.brands or brand in self.brands or umbrella in self.brands)
            and (not self.rules or rule in self.rules)
        )


class Directory(Struct, frozen=True):
    """Recipients, routes and who is on call; `Directory.of` builds it and checks that they fit."""

    recipients: dict[str, Recipient]
    routes: tuple[Route, ...]
    oncall: OnCall = OnCall()

    @classmethod
    def of(cls, recipients: Sequence[Recipient], routes: Sequence[Route], oncall: OnCall | None = None) -> Directory:
        """Return a directory.

        Raises:
            UnknownRecipient: a route names nobody of `recipients`, and nothing of `oncall`.
            ValueError: a severity that is none, two recipients of one name, or a route without any channel.

        >>> ana = Recipient(name="ana", channels=("terminal",))
        >>> directory = Directory.of([ana], [Route(recipient="ana", severity="notify")])
        >>> directory.who(umbrella="aurora", brand="grand", severity="page", rule="going-viral", at=0.0)
        (('ana', 'terminal'),)
        >>> directory.who(umbrella="aurora", brand="grand", severity="info", rule="going-viral", at=0.0)
        ()
        """
        oncall = oncall or OnCall()
        named = {recipient.name: recipient for recipient in recipients}
        if len(named) != len(recipients):
            raise ValueError("two recipients have the same name")
        for route in routes:
            if route.recipient not in named and route.recipient not in oncall.names:
                raise UnknownRecipient(route.recipient)
            for severity in (route.severity, route.until):
                if severity not in SEVERITIES:
                    raise ValueError(f"route to {route.recipient}: {severity!r} is none of {', '.join(SEVERITIES)}")
            if route.recipient in named and not (route.channels or named[route.recipient].channels):
                raise ValueError(f"route to {route.recipient}: no channel to reach them over")
        return cls(named, tuple(routes), oncall)

    def step(self, *, umbrella: str, brand: str, severity: str, rule: str, route: str, number: int, at: float) -> Rung:
        """Return whom a step of the ladders reaches at `at`; what is no ladder is reached by the first step alone.

        A step of a ladder with nobody on call is skipped at once, and that is said.
        """
        pairs: dict[tuple[str, str], None] = {}
        places: list[int] = []
        again: list[bool] = []
        said: list[str] = []
        for taken in self._taken(umbrella=umbrella, brand=brand, severity=severity, rule=rule, route=route):
            ladder = self.oncall.ladders.get(taken.recipient)
            if ladder is not None:
                people, place, skipped = self.oncall.climb(ladder, number, at)
                places += [place] if people else []
                again += [ladder.again(place)] if people else []
                said += [skipped] if skipped else []
            else:
                people = self.oncall.people([taken.recipient], at) if number == 0 else ()
                if number == 0 and not people:
                    said.append(f"{taken.recipient} has nobody on call: skipped")
            pairs |= dict.fromkeys(self._pairs(people, taken.channels))
        number = max(number, min(places, default=number))
        return Rung(tuple(pairs), number, "; ".join(said), bool(again) and all(again))

    def plan(self, *, umbrella: str, brand: str, severity: str, rule: str, route: str) -> Plan:
        """Return when the ladders' next steps are due, and the deadlines; without ladders nothing is timed."""
        deadlines = self.oncall.deadlines.get(severity, Deadlines())
        usual = deadlines.acknowledge or WAIT_S
        waits: list[float] = []
        ladders = self._ladders(umbrella=umbrella, brand=brand, severity=severity, rule=rule, route=route)
        for ladder in ladders:
            own = [wait if wait is not None else usual for _, wait, _ in ladder.steps()][:-1]
            both = [min(pair) for pair in zip(waits, own, strict=False)]
            waits = [*both, *(waits if len(waits) > len(own) else own)[len(both) :]]
        return Plan(waits=tuple(waits), answer=deadlines.answer, resolve=deadlines.resolve, again=usual)

    def manager(self, *, umbrella: str, brand: str, severity: str, at: float) -> tuple[tuple[str, str], ...]:
        """Return who hears of an incident that is handed on and on: the ladder's manager, else the file's."""
        ladders = self._ladders(umbrella=umbrella, brand=brand, severity=severity, rule="", route="")
        named = [name for ladder in ladders for name in ladder.manager] or list(self.oncall.manager)
        return tuple(dict.fromkeys(self._pairs(self.oncall.people(named, at))))

    def who(
        self, *, umbrella: str, brand: str, severity: str, rule: str, at: float, route: str = ""
    ) -> tuple[tuple[str, str], ...]:
        """Return the (recipient, channel) pairs for an incident's first page, without doubles, in the routes' order."""
        asked = {"umbrella": umbrella, "brand": brand, "severity": severity, "rule": rule, "route": route}
        return self.step(**asked, number=0, at=at).pairs

    def reach(self, recipient: str, at: float) -> tuple[tuple[str, str], ...]:
        """Return how one recipient, or who stands behind a rota or team, is reached; empty if nobody has that name."""
        return tuple(self._pairs(self.oncall.people([recipient], at)))

    def hold(self, recipient: str, severity: str, at: float) -> float | None:
        """Return until when a page of this severity waits for the end of somebody's quiet hours; None: not at all."""
        ends = [
            quiet.until(at)
            for quiet in self.oncall.quiet
            if (not quiet.people or recipient in quiet.people)
            and SEVERITIES.index(severity) < SEVERITIES.index(quiet.below)
        ]
        return max((end for end in ends if end is not None), default=None)

    def _taken(self, *, umbrella: str, brand: str, severity: str, rule: str, route: str) -> list[Route]:
        """Return the routes that an incident takes: those that its rule asks for, else those without a name."""
        fit = [one for one in self.routes if one.matches(umbrella=umbrella, brand=brand, severity=severity, rule=rule)]
        named = [one for one in fit if route and one.name == route]
        return named or [one for one in fit if not one.name]

    def _ladders(self, *, umbrella: str, brand: str, severity: str, rule: str, route: str) -> list[Ladder]:
        taken = self._taken(umbrella=umbrella, brand=brand, severity=severity, rule=rule, route=route)
        return [self.oncall.ladders[one.recipient] for one in taken if one.recipient in self.oncall.ladders]

    def _pairs(self, people: Iterable[str], channels: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        found = []
        for person in people:
            known = self.recipients.get(person)
            found += [(person, channel) for channel in channels or (known.channels if known else ())]
        return found
