"""Who is told of what, over which channels: people and routes, as configured.

Rotas and ladders will stand behind the same two questions (`who`, `reach`); this directory answers them from a plain
list. Nothing here knows brands' ancestry: a route's scope is spelled out when the configuration is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from monitor.incident.pages import Rung
from monitor.incident.timers import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

SEVERITIES = ("info", "notify", "page", "crisis")
ANY = "*"


class UnknownRecipient(KeyError):  # noqa: N818 -- says what is wrong in the word itself
    """A route names a recipient that is not in the directory."""


class Recipient(Struct, frozen=True, kw_only=True):
    """A person, a team or a machine that pages go to, and over which channels, best first."""

    name: str
    channels: tuple[str, ...]


class Route(Struct, frozen=True, kw_only=True):
    """Incidents of these brands, from this severity on, go to this recipient.

    `brands` are brand ids, an umbrella's among them if the whole umbrella is meant, or "*". `channels` overrides the
    recipient's own; `rules`, if any, limits the route to incidents of these rules; `until` leaves out what is more
    severe (a route for notices only).
    """

    recipient: str
    brands: frozenset[str] = frozenset({ANY})
    severity: str = "page"
    until: str = "crisis"
    channels: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()

    def matches(self, *, umbrella: str, brand: str, severity: str, rule: str) -> bool:
        """Return whether an incident takes this route."""
        low, high = SEVERITIES.index(self.severity), SEVERITIES.index(self.until)
        return (
            low <= SEVERITIES.index(severity) <= high
            and (ANY in self.brands or brand in self.brands or umbrella in self.brands)
            and (not self.rules or rule in self.rules)
        )


class Directory(Struct, frozen=True):
    """Recipients and routes; `Directory.of` builds it and checks that they fit."""

    recipients: dict[str, Recipient]
    routes: tuple[Route, ...]

    @classmethod
    def of(cls, recipients: Sequence[Recipient], routes: Sequence[Route]) -> Directory:
        """Return a directory.

        Raises:
            UnknownRecipient: a route names nobody of `recipients`.
            ValueError: a severity that is none, two recipients of one name, or a route without any channel.

        >>> ana = Recipient(name="ana", channels=("terminal",))
        >>> directory = Directory.of([ana], [Route(recipient="ana", severity="notify")])
        >>> directory.who(umbrella="aurora", brand="grand", severity="page", rule="going-viral", at=0.0)
        (('ana', 'terminal'),)
        >>> directory.who(umbrella="aurora", brand="grand", severity="info", rule="going-viral", at=0.0)
        ()
        """
        named = {recipient.name: recipient for recipient in recipients}
        if len(named) != len(recipients):
            raise ValueError("two recipients have the same name")
        for route in routes:
            if route.recipient not in named:
                raise UnknownRecipient(route.recipient)
            for severity in (route.severity, route.until):
                if severity not in SEVERITIES:
                    raise ValueError(f"route to {route.recipient}: {severity!r} is none of {', '.join(SEVERITIES)}")
            if not (route.channels or named[route.recipient].channels):
                raise ValueError(f"route to {route.recipient}: no channel to reach them over")
        return cls(named, tuple(routes))

    def step(
        self,
        *,
        umbrella: str,
        brand: str,
        severity: str,
        rule: str,
        route: str,  # noqa: ARG002 -- the interface
        number: int,
        at: float,
    ) -> Rung:
        """Return whom a step of the ladders reaches; without ladders only the first page reaches anybody."""
        if number:
            return Rung(())
        return Rung(self.who(umbrella=umbrella, brand=brand, severity=severity, rule=rule, at=at))

    def plan(self, **_incident: str) -> Plan:
        """Return when the next steps are due; never, without ladders."""
        return Plan()

    def manager(self, **_incident: str | float) -> tuple[tuple[str, str], ...]:
        """Return who hears of an incident that is handed on and on."""
        return ()

    def who(
        self,
        *,
        umbrella: str,
        brand: str,
        severity: str,
        rule: str,
        at: float,  # noqa: ARG002 -- rotas will ask for the time
    ) -> tuple[tuple[str, str], ...]:
        """Return the (recipient, channel) pairs for an incident, without doubles, in the routes' order."""
        pairs: dict[tuple[str, str], None] = {}
        for route in self.routes:
            if route.matches(umbrella=umbrella, brand=brand, severity=severity, rule=rule):
                channels = route.channels or self.recipients[route.recipient].channels
                pairs.update(((route.recipient, channel), None) for channel in channels)
        return tuple(pairs)

    def reach(self, recipient: str, at: float) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 -- as above
        """Return how one recipient is reached; empty if nobody has that name."""
        known = self.recipients.get(recipient)
        return tuple((recipient, channel) for channel in known.channels) if known else ()
