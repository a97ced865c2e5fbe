"""The pages behind the links of pages. Opening one (GET, HEAD) never acts; its button's POST does, once.

Mail scanners and chat previews open every link they see. They send no forms; and a bare POST without the form's field
does nothing either.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from monitor.incident import IllegalChange, Wish
from monitor.page.chart import picture
from monitor.page.links import CHART, PATH, BadLinkError
from monitor.page.words import say
from monitor.store import LinkUsedError, UnknownIncidentError, VersionConflictError

if TYPE_CHECKING:
    from monitor.clock import Clock
    from monitor.incident import Incident
    from monitor.page.links import Grant, Linker
    from monitor.page.readers import Reader, Readers
    from monitor.store import Desk

_PLAIN = "text/html"
_log = structlog.get_logger("monitor.console")


class Linked:
    """Shows what a link would do, does it, and shows charts."""

    def __init__(self, desk: Desk, linker: Linker, readers: Readers, clock: Clock) -> None:
        self._desk = desk
        self._linker = linker
        self._readers = readers
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PATH}{{token}}", self.show),
            web.post(f"{PATH}{{token}}", self.act),
            web.get(f"{CHART}{{token}}.png", self.chart),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show the button."""
        try:
            grant, incident = await self._look(request.match_info["token"])
        except _DeadLinkError as error:
            return error.answer
        reader = self._readers.of(grant.recipient)
        why = ""
        if grant.verb == "dismiss":
            label = escape(say(reader, "link_why"))
            why = f'<p><label>{label}<br><input name="why" required maxlength="500" size="40"></label></p>'
        button = escape(say(reader, grant.verb))
        form = (
            f'<form method="post"><input type="hidden" name="confirm" value="yes">{why}'
            f'<p><button type="submit" style="font-size:1.3em;padding:.6em 1.4em">{button}</button></p></form>'
        )
        as_whom = escape(say(reader, "link_as", name=grant.recipient))
        return _page(200, reader, incident, f"<p>{as_whom}</p>{form}")

    async def act(self, request: web.Request) -> web.Response:
        """Do what the link allows."""
        try:
            grant, incident = await self._look(request.match_info["token"])
        except _DeadLinkError as error:
            return error.answer
        reader = self._readers.of(grant.recipient)
        form = await request.post()
        why = str(form.get("why", "")).strip()
        if form.get("confirm") != "yes" or (grant.verb == "dismiss" and not why):
            return _page(400, reader, incident, f"<p>{escape(say(reader, 'link_press'))}</p>")
        try:
            after = await self._desk.do(incident.id, _wish(grant, incident, why), link=grant.name)
        except LinkUsedError:
            return _page(410, reader, incident, f"<p>{escape(say(reader, 'link_used'))}</p>")
        except (IllegalChange, VersionConflictError) as error:
            return _page(409, reader, incident, f"<p>{escape(str(error))}</p>")
        _log.info("incident_changed", incident=after.id, verb=grant.verb, version=after.version, through="link")
        return _page(200, reader, after, f"<p><b>{escape(say(reader, 'link_done'))}</b></p>")

    async def chart(self, request: web.Request) -> web.Response:
        """Show a story's chart as it is now."""
        try:
            grant = self._linker.read(request.match_info["token"], self._clock.now(), chart=True)
        except BadLinkError:
            raise web.HTTPNotFound from None
        png = picture(await self._desk.facts(grant.incident))
        if png is None:
            raise web.HTTPNotFound
        return web.Response(body=png, content_type="image/png", headers={"Cache-Control": "private, max-age=60"})

    async def _look(self, token: str) -> tuple[Grant, Incident]:
        """Return what a link allows and the incident that it is about.

        Raises:
            _DeadLinkError: it cannot be used.
        """
        try:
            grant = self._linker.read(token, self._clock.now())
            found = await self._desk.detail(grant.incident)
        except BadLinkError as error:
            raise _DeadLinkError(410 if "too old" in str(error) else 404, str(error)) from None
        except UnknownIncidentError:
            raise _DeadLinkError(404, "There is no such incident any more.") from None
        reader = self._readers.of(grant.recipient)
        if found.incident.cycle != grant.cycle:
            raise _DeadLinkError(410, say(reader, "link_cycle"))
        if await self._desk.link_was_used(grant.name):
            raise _DeadLinkError(410, say(reader, "link_used"))
        return grant, found.incident


class _DeadLinkError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = _html(status, "Mention Monitor", f"<p>{escape(text)}</p>")


def _wish(grant: Grant, incident: Incident, why: str) -> Wish:
    if grant.verb == "ack":
        return Wish(verb="ack", by=grant.recipient, why="by the page's link")
    if grant.verb == "own":
        taken = f"took it from {incident.owner}, by the page's link" if incident.owner else "by the page's link"
        return Wish(verb="assign", by=grant.recipient, owner=grant.recipient, why=taken)
    return Wish(verb="dismiss", by=grant.recipient, why=why)


def _page(status: int, reader: Reader, incident: Incident, body: str) -> web.Response:
    owner = incident.owner or say(reader, "nobody_yet")
    known = {"open", "acknowledged", "answered"}
    state = say(reader, incident.state) if incident.state in known else say(reader, incident.state).lower()
    head = f"<h1>{escape(incident.brand)}</h1><p>{escape(incident.headline)}</p>"
    line = f"<p>{escape(say(reader, 'incident'))} {escape(incident.id)}: {escape(state)}, "
    return _html(
        status, incident.brand, f"{head}{line}{escape(say(reader, 'owner').lower())} {escape(owner)}</p>{body}"
    )


def _html(status: int, title: str, body: str) -> web.Response:
    text = (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title></head>"
        f'<body style="font-family:sans-serif;max-width:40em;margin:2em auto;padding:0 1em">{body}</body></html>'
    )
    return web.Response(status=status, text=text, content_type=_PLAIN)
