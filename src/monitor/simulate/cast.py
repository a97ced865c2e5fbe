"""The simulated brands: read from the packaged `brands.yaml`, so that matcher and simulator know the same names."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from msgspec import Struct
from ruamel.yaml import YAML

from monitor.mention.model import Author

_WEIGHTS = {
    "zephanor-air": 50,
    "tern-tallow": 16,
    "tern-tallow-lisbon": 6,
    "tern-tallow-oslo": 6,
    "tern-tallow-savannah": 5,
    "pillowby": 9,
    "pillowby-leeds": 4,
    "pillowby-denver": 4,
}


class Node(Struct, frozen=True, kw_only=True):
    """One brand as people write it: `names` in any text, `social` where handles are used.

    `own` are its own accounts; `trade` is air or hotel: which things people say of it.
    """

    id: str
    umbrella: str
    trade: str
    names: tuple[str, ...]
    social: tuple[str, ...]
    handle: str
    own: tuple[Author, ...]


class Cast(Struct, frozen=True):
    """All nodes by id, the nodes of ordinary chatter as often as people talk of them, and the umbrella's viral line."""

    nodes: dict[str, Node]
    talked: tuple[Node, ...]
    viral_line: int


def brands_file() -> Path:
    """Return where the simulator's brand file lies.

    >>> brands_file().name
    'brands.yaml'
    """
    return Path(str(files("monitor.simulate") / "brands.yaml"))


@cache
def load_cast() -> Cast:
    """Read the packaged brand file.

    >>> load_cast().nodes["tern-tallow-oslo"].umbrella
    'zephanor'
    """
    umbrella = YAML(typ="safe", pure=True).load(brands_file())["brands"][0]
    nodes: dict[str, Node] = {}
    _walk(umbrella, umbrella["id"], None, nodes)
    talked = tuple(nodes[name] for name, weight in _WEIGHTS.items() for _ in range(weight))
    return Cast(nodes, talked, int(umbrella["viral_line"]))


def _walk(entry: dict[str, Any], umbrella: str, above: Node | None, nodes: dict[str, Node]) -> None:
    handle = "@" + str(entry["handles"][0]).lstrip("@") if entry.get("handles") else above.handle if above else ""
    name = str(entry["name"])
    names = (name, name, *(alias for alias in entry.get("aliases", ()) if " " in alias or alias[0] == name[0]))
    own = tuple(
        Author(
            id=f"own-{account.lstrip('@')}",
            handle=account.lstrip("@"),
            name=name,
            followers=40_000 + 1_000 * len(name),
            verified=True,
        )
        for account in entry.get("own_accounts", ())
    )
    node = Node(
        id=entry["id"],
        umbrella=umbrella,
        trade="air" if "air" in entry["id"] else "hotel",
        names=names,
        social=(handle,) * len(names) + names if entry.get("handles") else names,
        handle=handle,
        own=own or (above.own if above else ()),
    )
    nodes[node.id] = node
    for child in entry.get("children", ()):
        _walk(child, umbrella, node, nodes)
