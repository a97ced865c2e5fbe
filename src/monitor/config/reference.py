"""Writes docs/configuration.md's reference from the code, so that the two agree: `python -m monitor.config.reference`.

Prints the tables; `docs/configuration.md` holds them between two marks, and a test compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from monitor.config.settings import (
    AlertmanagerChannel,
    AppriseChannel,
    EmailChannel,
    PagerDutyChannel,
    Recipient,
    Route,
    Settings,
    SlackChannel,
    TerminalChannel,
    Token,
    WebhookChannel,
)

BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def markdown() -> str:
    """Return the reference as Markdown."""
    parts: list[str] = []
    top: list[tuple[str, Any]] = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            parts += _section(name, field.default)
        else:
            top.append((name, field))
    for title, model in (
        ("recipients[]", Recipient),
        ("recipients[].channels[] of type terminal", TerminalChannel),
        ("recipients[].channels[] of type webhook", WebhookChannel),
        ("recipients[].channels[] of type alertmanager", AlertmanagerChannel),
        ("recipients[].channels[] of type slack", SlackChannel),
        ("recipients[].channels[] of type email", EmailChannel),
        ("recipients[].channels[] of type pagerduty", PagerDutyChannel),
        ("recipients[].channels[] of type apprise", AppriseChannel),
        ("routes[]", Route),
        ("api.tokens[]", Token),
    ):
        parts += [f"### {title}", "", model.__doc__ or "", "", *_table(model.model_fields.items())]
    return "\n".join(["### At the top", "", *_table(top), *parts]).rstrip() + "\n"


def _section(title: str, section: BaseModel) -> list[str]:
    fields = type(section).model_fields
    plain = [(name, field) for name, field in fields.items() if not isinstance(field.default, BaseModel)]
    inner = [(name, field.default) for name, field in fields.items() if isinstance(field.default, BaseModel)]
    lines = [f"### {title}", "", type(section).__doc__ or "", "", *_table(plain)]
    for name, model in inner:
        lines += _section(f"{title}.{name}", model)
    return lines


def _table(fields: Any) -> list[str]:
    rows = [
        f"| `{name}` | {_kind(field.annotation)} | {_default(field)} | {' '.join((field.description or '').split())} |"
        for name, field in fields
    ]
    return ["| key | value | default | what it does |", "| --- | --- | --- | --- |", *rows, ""]


def _kind(annotation: Any) -> str:
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if isinstance(annotation, type) and not inner:
        names = {
            str: "text",
            int: "whole number",
            float: "number",
            bool: "true, false",
            Path: "path",
            SecretStr: "secret",
        }
        return names.get(annotation, "keys")
    if any(isinstance(one, str) for one in inner):
        return ", ".join(f"`{one}`" for one in inner)
    if getattr(annotation, "__origin__", None) in (list, dict):
        return "list" if annotation.__origin__ is list else "keys"
    return _kind(inner[0])


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is None or value in ([], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def rewrite(path: Path) -> None:
    """Put the reference between the marks in `path`."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
