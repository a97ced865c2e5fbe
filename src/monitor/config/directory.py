"""From recipients and routes as configured to the directory that pages are addressed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.oncall.directory import ANY, Directory, Recipient, Route

if TYPE_CHECKING:
    from monitor.brand.tree import BrandTree
    from monitor.config.settings import Settings


class RouteError(ValueError):
    """A route names a brand that is not in the brand tree; the text says which are."""


def directory_of(settings: Settings, tree: BrandTree | None = None) -> Directory:
    """Return who is told of what. With a `tree`, a route's brand stands for all that is below it as well.

    Raises:
        RouteError: a route names a brand that the tree does not have.
    """
    recipients = [
        Recipient(name=one.name, channels=tuple(channel.name for channel in one.channels))
        for one in settings.recipients
    ]
    routes = [
        Route(
            recipient=name,
            brands=_scope(route.brands, tree),
            severity=route.severity,
            until=route.until,
            rules=frozenset(route.rules),
        )
        for route in settings.routes
        for name in route.to
    ] or [Route(recipient=one.name, severity="notify") for one in recipients]
    return Directory.of(recipients, routes)


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
