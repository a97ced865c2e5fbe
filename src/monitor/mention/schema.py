"""The mention's JSON Schema (draft 2020-12), made from the code.

`python -m monitor.mention.schema > docs/mention.schema.json` writes the documented one.
"""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from typing import Any, Final

import msgspec

from monitor.mention.model import Mention

_KIND_RULES: Final[list[dict[str, Any]]] = [
    {
        "if": {"required": ["kind"], "properties": {"kind": {"enum": ["repost", "delete"]}}},
        "else": {
            "anyOf": [
                {"required": ["text"], "properties": {"text": {"pattern": "\\S"}}},
                {"required": ["media"], "properties": {"media": {"minItems": 1}}},
            ]
        },
    },
    {
        "if": {"required": ["kind"], "properties": {"kind": {"enum": ["edit", "delete"]}}},
        "then": {"required": ["target"], "properties": {"target": {"type": "string", "minLength": 1}}},
    },
]


def mention_schema() -> dict[str, Any]:
    """Make the schema. What no schema can say (that times are believable, NUL, surrogates) `decode` judges."""
    made = msgspec.json.schema(Mention)
    for definition in made["$defs"].values():
        definition["description"] = cleandoc(definition["description"])
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mention-monitor:mention:1",
        "title": "Mention, version 1",
        **made,
        "allOf": _KIND_RULES,
    }
    plain: dict[str, Any] = json.loads(json.dumps(schema))
    return plain


def main() -> None:
    """Write the schema to standard output."""
    sys.stdout.write(json.dumps(mention_schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
