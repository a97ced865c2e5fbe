"""The API's description (OpenAPI 3.1), made from the types that the API takes and gives."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor import __version__
from monitor.console.bodies import BODIES, Detail, Listing, Problem
from monitor.incident import ACTIVE, VERBS, Incident, Verb

_SEVERITIES = ["info", "notify", "page", "crisis"]
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The incident's version in quotes, as its ETag says: act only if it is still that one.",
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
}
_ID = {
    "name": "incident",
    "in": "path",
    "required": True,
    "description": "The incident's id.",
    "schema": {"type": "string", "maxLength": 32},
}
_PROBLEMS = {
    400: "The request cannot be read; the detail says where.",
    401: "No token, or one that is not known.",
    403: "The token lacks the scope.",
    404: "There is no such incident.",
    409: "It does not fit the incident's state (somebody was faster, or a reason is missing).",
    412: "The incident has another version than If-Match says.",
    413: "The body is too long.",
    503: "The store does not answer; try again.",
}


def document() -> dict[str, Any]:
    """Return the description as plain JSON."""
    types = [Detail, Listing, Problem, Incident, *BODIES.values()]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {
        "/api/v1/incidents": {"get": _list()},
        "/api/v1/incidents/{incident}": {"get": _show()},
    }
    for verb in VERBS:
        paths[f"/api/v1/incidents/{{incident}}/{verb}"] = {"post": _act(verb)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mention Monitor",
            "version": __version__,
            "description": "Incidents: read them, and say what is done about them. Times are seconds since the epoch.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the configuration."}
            },
        },
    }


def _list() -> dict[str, Any]:
    return {
        "operationId": "listIncidents",
        "summary": "Incidents, newest first (scope read).",
        "parameters": [
            _query("state", {"enum": ["active", "all", *sorted(ACTIVE), "resolved", "dismissed"], "default": "active"}),
            _query("severity", {"enum": _SEVERITIES}, "Only of this severity."),
            _query("brand", {"type": "string", "maxLength": 255}, "Only of this brand or umbrella."),
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            _query("before", {"type": "number"}, "Only those opened before: the `next` of the page before."),
        ],
        "responses": _responses("Listing", 400, 401, 403, 503),
    }


def _show() -> dict[str, Any]:
    return {
        "operationId": "showIncident",
        "summary": "One incident with its audit log and its pages (scope read).",
        "parameters": [_ID],
        "responses": _responses("Detail", 401, 403, 404, 503),
    }


def _act(verb: Verb) -> dict[str, Any]:
    body = BODIES[verb]
    return {
        "operationId": f"{verb}Incident",
        "summary": f"{(body.__doc__ or '').splitlines()[0]} (scope act).",
        "parameters": [_ID, _IF_MATCH],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}},
        },
        "responses": _responses("Incident", *_PROBLEMS),
    }


def _query(name: str, schema: dict[str, Any], about: str = "") -> dict[str, Any]:
    described = {"description": about} if about else {}
    return {"name": name, "in": "query", "required": False, **described, "schema": schema}


def _responses(good: str, *bad: int) -> dict[str, Any]:
    etag = {"ETag": {"description": "The incident's version.", "schema": {"type": "string"}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "200": {
            "description": "As asked.",
            **({"headers": etag} if good != "Listing" else {}),
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{good}"}}},
        },
        **{str(status): {"description": _PROBLEMS[status], "content": problem} for status in bad},
    }
