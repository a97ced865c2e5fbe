"""From recipients, routes and the on-call file as configured to the directory that pages are addressed by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.brand.tree import BrandTree
from monitor.oncall.directory import ANY, Directory, Recipient, Route
from monitor.oncall.oncallfile import load_oncall

if TYPE_CHECKING:
    from monitor.config.settings import Settings
    from monitor.oncall.ladder import OnCall


class RouteError(ValueError):
    """A route names a brand or somebody that there is not, or reaches nobody; the text says what to do."""


def directory_of(settings: Settings, tree: BrandTree | None = None, *, now: float | None = None) -> Directory:
    """Return who is told of what. A route's brand stands for all that is below it in the brand tree as well.

    Args:
        settings: the configuration; its on-call file and, without a `tree`, its brand file are read.
        tree: the brands, if they are at hand.
        now: from when on there must always be somebody on call; the wall clock by default.

    Raises:
        RouteError: a route names a brand that the tree does not have, or leads to nobody.
        FileError: the brand file is refused.
        OnCallFileError: the on-call file is refused.
    """
    if tree is None and settings.brands is not None:
        tree = BrandTree.load(settings.brands)
    recipients = [
        Recipient(name=one.name, channels=tuple(channel.name for channel in one.channels))
        for one in settings.recipients
    ]
    oncall = None
    if settings.oncall is not None:
        people = frozenset(one.name for one in recipients)
        oncall = load_oncall(settings.oncall, people, time.time() if now is None else now)
        _check(settings, oncall, people)
    routes = [
        Route(
            recipient=name,
            brands=_scope(route.brands, tree),
            severity=route.severity,
            until=route.until,
            rules=frozenset(route.rules),
            name=route.name or "",
        )
        for route in settings.routes
        for name in route.to
    ] or [Route(recipient=one.name, severity="notify") for one in recipients]
    return Directory.of(recipients, routes, oncall)


def _check(settings: Settings, oncall: OnCall, people: frozenset[str]) -> None:
    """Refuse routes that lead nowhere, and ladders that no route leads to."""
    known = {*people, *oncall.names}
    for number, route in enumerate(settings.routes):
        for name in route.to:
            if name not in known:
                raise RouteError(f"routes[{number}].to names {name!r}; known: {', '.join(sorted(known))}")
            if name in oncall.gaps:
                raise RouteError(
                    f"routes[{number}].to names the rota {name!r}, which has gaps: lead to a ladder instead"
                )
    if oncall.ladders and not settings.routes:
        ladder = min(oncall.ladders)
        raise RouteError(f"no route leads to the ladders of {settings.oncall}: add `routes:` and `- to: [{ladder}]`")


def _scope(brands: list[str], tree: BrandTree | None) -> frozenset[str]:
    if not brands:
        return frozenset({ANY})
    if tree is None:
        return frozenset(brands)
    known = {node.id for node in tree.nodes}
    for brand in brands:
        if brand not in known:
            raise RouteError(
                f"a route names the brand {brand!r}, which the brand file does not have: correct one of them"
            )
    return frozenset(node.id for node in tree.nodes if {node.id, *tree.ancestors(node.id)} & set(brands))
