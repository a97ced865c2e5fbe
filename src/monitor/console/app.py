"""The web application: the API under /api/v1, the pages behind links, and the pictures of charts."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from monitor.console.bodies import BODIES, Detail, Listing, Problem, Sent, wish_of
from monitor.console.linked import Linked
from monitor.console.openapi import document
from monitor.incident import VERBS, IllegalChange, Verb
from monitor.store import LinkUsedError, StoreError, UnknownIncidentError, VersionConflictError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitor.clock import Clock
    from monitor.console.metrics import ApiMetrics
    from monitor.console.tokens import Caller, Tokens
    from monitor.page.links import Linker
    from monitor.page.readers import Readers
    from monitor.store import Desk

MAX_BODY = 16_384
_MAX_LIMIT = 500
_STATES = frozenset({"active", "all", "open", "acknowledged", "answered", "resolved", "dismissed"})
_SEVERITIES = frozenset({"info", "notify", "page", "crisis"})
_ETAG = re.compile(r'"(\d{1,9})"')
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}

_log = structlog.get_logger("monitor.console")


class RefusedError(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.problem = Problem(title, status, detail)


def build(
    desk: Desk, tokens: Tokens, *, linker: Linker | None, readers: Readers, clock: Clock, metrics: ApiMetrics
) -> web.Application:
    """Return the application.

    Args:
        desk: incidents, read and changed.
        tokens: who may use the API.
        linker: reads the links of pages; without one there are none.
        readers: in which language the pages behind links are.
        clock: real time.
        metrics: where requests are counted.
    """
    api = _Api(desk, tokens)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_outer(metrics)])
    app.add_routes(
        [
            web.get("/api/v1/openapi.json", api.describe),
            web.get("/api/v1/incidents", api.list),
            web.get("/api/v1/incidents/{incident}", api.show),
            *(web.post(f"/api/v1/incidents/{{incident}}/{verb}", api.action(verb)) for verb in VERBS),
        ]
    )
    if linker is not None:
        app.add_routes(Linked(desk, linker, readers, clock).routes())
    return app


class _Api:
    def __init__(self, desk: Desk, tokens: Tokens) -> None:
        self._desk = desk
        self._tokens = tokens
        self._document = msgspec.json.encode(document())

    async def describe(self, _: web.Request) -> web.Response:
        """Give the description; it needs no token."""
        return web.Response(body=self._document, content_type="application/json")

    async def list(self, request: web.Request) -> web.Response:
        """Give incidents, newest first."""
        self._caller(request, "read")
        query = request.query
        unknown = set(query) - {"state", "severity", "brand", "limit", "before"}
        if unknown:
            raise RefusedError(400, "unknown parameter", ", ".join(sorted(unknown))[:200])
        limit = _number(query.get("limit", "50"), "limit", 1, _MAX_LIMIT)
        before = _number(query["before"], "before", 0, 1e12) if "before" in query else None
        state = _one_of(query.get("state", "active"), "state", _STATES)
        severity = _one_of(query["severity"], "severity", _SEVERITIES) if "severity" in query else None
        found = await self._desk.find(
            state=state, severity=severity, brand=query.get("brand"), limit=int(limit), before=before
        )
        return _json(Listing(found, found[-1].opened_at if len(found) == int(limit) else None))

    async def show(self, request: web.Request) -> web.Response:
        """Give one incident."""
        self._caller(request, "read")
        found = await self._desk.detail(request.match_info["incident"])
        pages = [
            Sent(
                row["purpose"],
                row["recipient"],
                row["channel"],
                row["severity"],
                row["decided_at"],
                row["status"],
                row["attempts"],
                row["may_be_repeat"],
                row["delivered_at"],
            )
            for row in found.pages
        ]
        return _json(Detail(found.incident, found.log, pages, found.facts), found.incident.version)

    def action(self, verb: Verb) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of a verb."""
        decoder = msgspec.json.Decoder(BODIES[verb])

        async def act(request: web.Request) -> web.Response:
            caller = self._caller(request, "act")
            raw = await request.read()
            try:
                body: Any = decoder.decode(raw or b"{}")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RefusedError(400, "the body cannot be read", str(error)[:300]) from None
            if caller.person and body.by not in {"", caller.person}:
                raise RefusedError(403, "the token is another person's", f"it acts as {caller.person}")
            wish = wish_of(verb, body, caller.person or body.by)
            after = await self._desk.do(request.match_info["incident"], wish, expect=_version(request))
            _log.info("incident_changed", incident=after.id, verb=verb, version=after.version, through=caller.name)
            return _json(after, after.version)

        return act

    def _caller(self, request: web.Request, scope: str) -> Caller:
        caller = self._tokens.caller(request.headers.get("Authorization", ""))
        if caller is None:
            raise RefusedError(401, "a token is needed", "send Authorization: Bearer TOKEN")
        if scope not in caller.scopes:
            raise RefusedError(403, f"the token lacks the scope {scope}")
        return caller


def _outer(metrics: ApiMetrics) -> Any:
    """Return what stands around every request: problems become answers, answers are counted."""

    @web.middleware
    async def outer(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            answer = await handler(request)
        except Exception as error:  # noqa: BLE001 -- the room's outer wall
            answer = _problem(error)
        answer.headers.update({name: value for name, value in _HEADERS.items() if name not in answer.headers})
        resource = request.match_info.route.resource
        name = resource.canonical if resource is not None else "none"
        metrics.count(name, request.method, answer.status, time.perf_counter() - began)
        return answer

    return outer


_KNOWN: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownIncidentError, 404, "there is no such incident"),
    (LinkUsedError, 410, "the link was used"),
    (IllegalChange, 409, "it does not fit the incident"),
    (StoreError, 503, "the store does not answer"),
)


def _problem(error: Exception) -> web.Response:
    """Return the answer to a request that failed; what is not foreseen says nothing to the outside."""
    headers: dict[str, str] = {}
    match error:
        case RefusedError():
            problem = error.problem
            if problem.status == 401:  # noqa: PLR2004 -- unauthorised
                headers["WWW-Authenticate"] = "Bearer"
        case VersionConflictError():
            problem = Problem("the incident was changed", 412, str(error))
        case web.HTTPException():
            problem = Problem(error.reason or "refused", error.status)
            headers = {name: value for name, value in error.headers.items() if name == "Allow"}
        case _:
            for kind, status, title in _KNOWN:
                if isinstance(error, kind):
                    problem = Problem(title, status, str(error) if status != 503 else "try again")  # noqa: PLR2004
                    break
            else:
                _log.error("request_failed", error=type(error).__name__, detail=str(error)[:200])
                problem = Problem("something went wrong here", 500)
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem),
        headers={**headers, "Content-Type": "application/problem+json"},
    )


def _json(value: Any, version: int | None = None) -> web.Response:
    headers = {"Content-Type": "application/json"} | ({} if version is None else {"ETag": f'"{version}"'})
    return web.Response(body=msgspec.json.encode(value), headers=headers)


def _version(request: web.Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None:
        return None
    found = _ETAG.fullmatch(given.strip())
    if not found:
        raise RefusedError(400, "If-Match cannot be read", 'write the version in quotes: "7"')
    return int(found[1])


def _number(text: str, name: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise RefusedError(400, f"{name} cannot be read", f"a number from {low:g} to {high:g}")
    return value


def _one_of(text: str, name: str, known: frozenset[str]) -> str:
    if text not in known:
        raise RefusedError(400, f"{name} is not known", f"one of {', '.join(sorted(known))}")
    return text
