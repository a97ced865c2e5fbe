"""The brand tree: umbrella > brand > property or product, read from `brands.yaml` (see `docs/brands.md`)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Struct

from monitor.mention.text import fold, printable
from monitor.mention.yamlfile import FileError, Section, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEYS: Final = (
    "id",
    "name",
    "match_name",
    "aliases",
    "handles",
    "must_not_match",
    "own_accounts",
    "viral_line",
    "budgets",
    "lang",
    "contact",
    "owner",
    "children",
)
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEEPEST: Final = 16


class ViralLine(NamedTuple):
    """At how many people, or at what reach (their followers), a story of the brand counts as viral."""

    size: float
    reach: float | None = None


class Account(Struct, frozen=True):
    """An account of the brand's own. Without a source it is known by handle or id wherever it speaks."""

    name: str
    source: str | None = None


class Node(Struct, frozen=True, kw_only=True):
    """An umbrella, a brand, a property or a product.

    `aliases` are phrases as `phrase` folds them, the name among them unless `match_name` is false; `handles` stand
    without their @, folded. `budgets` say how many people may complain of a cause in four weeks (`*`: of any other).
    """

    id: str
    name: str
    parent: str | None = None
    aliases: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    must_not_match: tuple[str, ...] = ()
    own_accounts: tuple[Account, ...] = ()
    viral_line: ViralLine | None = None
    budgets: tuple[tuple[str, float], ...] = ()
    lang: str | None = None
    contact: str | None = None
    owner: str | None = None


class BrandTree:
    """The brands that are watched, in the file's order.

    Attributes:
        nodes: every node, parents before their children.
        roots: the umbrellas' ids.
        path: the file it was read from, or None.
        version: a hash of the content; comments and layout do not change it.

    >>> tree = BrandTree.from_names(["Meridian Air", "Café Nord"])
    >>> tree.roots, tree.node("meridian-air").handles
    (('meridian-air', 'cafe-nord'), ('meridianair',))
    """

    def __init__(self, nodes: Iterable[Node], path: Path | None = None) -> None:
        self.nodes = tuple(nodes)
        self.path = path
        self.roots = tuple(node.id for node in self.nodes if node.parent is None)
        self.version = hashlib.blake2b(msgspec.json.encode(self.nodes), digest_size=8).hexdigest()
        self._nodes = {node.id: node for node in self.nodes}
        self._ancestors: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            self._ancestors[node.id] = (node.parent, *self._ancestors[node.parent]) if node.parent else ()

    @classmethod
    def load(cls, path: Path | str) -> BrandTree:
        """Read and check a brand file.

        Raises:
            FileError: the file is refused, with its line and the mend.
        """
        path = Path(path)
        top = load(path)
        top.only(["brands"])
        reader = _Reader()
        nodes = [node for section in top.sections("brands") for node in reader.read(section, None, _DEEPEST)]
        if not nodes:
            raise top.error(
                "brands", "there is no brand in it", "add `brands:` and, below it, `- id: ...` and `name: ...`"
            )
        return cls(nodes, path)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> BrandTree:
        """Make each name a root of its own: known by its name, and by its name as a handle (`@meridianair`).

        Names that differ in nothing but case, width or blanks are one brand. The ids are slugs of the names.
        """
        nodes: dict[str, Node] = {}
        seen: set[str] = set()
        handles: set[str] = set()
        for name in names:
            alias = phrase(name)
            if not alias or alias in seen:
                continue
            seen.add(alias)
            base = _slug(name) or f"brand-{hashlib.blake2b(alias.encode(), digest_size=4).hexdigest()}"
            brand_id, number = base, 2
            while brand_id in nodes:
                brand_id, number = f"{base[:58]}-{number}", number + 1
            handle = "".join(char for char in alias if char.isalnum() or char == "_")
            aliases = (alias,) if handle else ()
            own = (handle,) if handle and handle not in handles else ()
            handles.add(handle)
            nodes[brand_id] = Node(id=brand_id, name=printable(name), aliases=aliases, handles=own)
        return cls(nodes.values())

    def node(self, brand_id: str) -> Node:
        """Give the node of an id.

        Raises:
            KeyError: there is none.
        """
        return self._nodes[brand_id]

    def name_of(self, brand_id: str) -> str:
        """Give a brand's name as people know it; of an id that the tree does not have, the id."""
        node = self._nodes.get(brand_id)
        return node.name if node is not None else brand_id

    def ancestors(self, brand_id: str) -> tuple[str, ...]:
        """Give the ids above a node, the root last.

        Nothing for a root, and for an id that the tree does not have: a store may remember brands that the file lost.
        """
        return self._ancestors.get(brand_id, ())

    def umbrella_of(self, brand_id: str) -> str:
        """Give the root above a node; a root, or an id that the tree does not have, is its own."""
        return (brand_id, *self.ancestors(brand_id))[-1]

    def words_of(self, umbrella: str) -> frozenset[str]:
        """Give the words of an umbrella's names, and of all below it; of one that the tree does not have, its id's."""
        nodes = [node for node in self.nodes if self.umbrella_of(node.id) == umbrella]
        said = {umbrella, *(name for node in nodes for name in (*node.aliases, *node.handles))}
        return frozenset(word for name in said for word in name.replace("-", " ").split())

    def viral_line(self, brand_id: str) -> ViralLine | None:
        """Give the line that is configured for a node or, failing that, for the nearest node above it."""
        lines = (self._nodes[each].viral_line for each in (brand_id, *self.ancestors(brand_id)) if each in self._nodes)
        return next((line for line in lines if line is not None), None)

    def budgets(self, brand_id: str) -> dict[str, float]:
        """Give a node's own budgets, by cause: what is allowed above or below it says nothing of this one."""
        return dict(self._nodes[brand_id].budgets) if brand_id in self._nodes else {}


class _Reader:
    """Reads nodes, and remembers where each id, alias and handle was seen."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def read(self, section: Section, parent: str | None, depth: int) -> Iterator[Node]:
        """Read a node and, after it, those below it."""
        section.only(_KEYS)
        brand_id = section.needed("id")
        if not _ID.fullmatch(brand_id):
            raise section.error("id", f"the id {brand_id!r} will not do", "use a-z, 0-9, . _ and -, 64 at most")
        self._once("the id", brand_id, brand_id, section.path, section.line("id"))
        if not depth:
            raise section.error("id", f"{brand_id!r} lies deeper than {_DEEPEST} levels", "flatten the tree")
        name = section.needed("name")
        aliases = self._aliases(section, brand_id, name)
        vetoes = tuple(_phrase(section, text, line) for text, line in section.texts("must_not_match"))
        for veto, (_, line) in zip(vetoes, section.texts("must_not_match"), strict=True):
            if veto in aliases:
                raise FileError(
                    section.path, line, f"{veto!r} is an alias too and could never match", "drop one of them"
                )
        yield Node(
            id=brand_id,
            name=name,
            parent=parent,
            aliases=aliases,
            handles=self._handles(section, brand_id),
            must_not_match=vetoes,
            own_accounts=tuple(_account(section, item, line) for item, line in section.items("own_accounts")),
            viral_line=_line(section),
            budgets=_budgets(section),
            lang=section.text("lang"),
            contact=section.text("contact"),
            owner=section.text("owner"),
        )
        for child in section.sections("children"):
            yield from self.read(child, brand_id, depth - 1)

    def _aliases(self, section: Section, brand_id: str, name: str) -> tuple[str, ...]:
        given = section.texts("aliases")
        if section.flag("match_name", default=True):
            given.insert(0, (name, section.line("name")))
        found: dict[str, None] = {}
        for text, line in given:
            alias = _phrase(section, text, line)
            if alias in found and alias == phrase(name):
                continue  # the name, spelt out as an alias
            self._once("the alias", alias, brand_id, section.path, line)
            found[alias] = None
        return tuple(found)

    def _handles(self, section: Section, brand_id: str) -> tuple[str, ...]:
        found = []
        for text, line in section.texts("handles"):
            handle = fold(text.removeprefix("@"))
            if not handle or not re.fullmatch(r"[\w.@-]+", handle):
                raise FileError(
                    section.path, line, f"the handle {text!r} will not do", "write it as in @name, no blanks"
                )
            self._once("the handle", "@" + handle, brand_id, section.path, line)
            found.append(handle)
        return tuple(found)

    def _once(self, what: str, key: str, brand_id: str, path: Path, line: int) -> None:
        """Refuse what was seen before."""
        place = f"{what} {key}"
        if place in self._seen:
            raise FileError(
                path, line, f"{what} {key!r} stands twice (before: {self._seen[place]})", "keep one of them"
            )
        self._seen[place] = f"{brand_id}, line {line}"


def phrase(text: str) -> str:
    """Fold a phrase as texts are folded for matching: see `fold`, with single blanks."""
    return " ".join(fold(text).split())


def _phrase(section: Section, text: str, line: int) -> str:
    folded = phrase(text)
    if not any(char.isalnum() for char in folded):
        raise FileError(section.path, line, f"{text!r} has no letter or digit in it", "write a word or take it out")
    return folded


def _account(section: Section, item: object, line: int) -> Account:
    """Read an account: a handle or an id, or a mapping with its source."""
    source = None
    if isinstance(item, dict):
        given = Section(section.path, item)  # type: ignore[arg-type]  # ruamel's own mapping
        given.only(["account", "source"])
        item, source = given.needed("account"), given.needed("source")
    if not isinstance(item, str) or not item.removeprefix("@").strip():
        mend = 'write "@handle", "id", or {account: ..., source: ...}'
        raise FileError(section.path, line, f"the account {item!r} will not do", mend)
    return Account(account(item), source)


def account(name: str) -> str:
    """Fold an account's handle or id for comparison."""
    return fold(name.strip().removeprefix("@"))


def _line(section: Section) -> ViralLine | None:
    """Read a viral line: a number of people, or `{size, reach}`."""
    if "viral_line" not in section:
        return None
    if not isinstance(section.data["viral_line"], dict):
        size = section.number("viral_line", least=1)
        return None if size is None else ViralLine(size)
    given = section.section("viral_line")
    if given is None:
        return None
    given.only(["size", "reach"])
    size = given.number("size", least=1)
    if size is None:
        raise section.error("viral_line", "'size' is missing", "add `size: ...`, how many people make a story viral")
    return ViralLine(size, given.number("reach", least=1))


def _budgets(section: Section) -> tuple[tuple[str, float], ...]:
    """Read the budgets: by cause, how many people may complain of it in four weeks."""
    given = section.section("budgets")
    if given is None:
        return ()
    return tuple((cause, given.number(cause, least=1) or 1.0) for cause in given.keys())  # noqa: SIM118 -- no mapping


def _slug(name: str) -> str:
    """Make an id of a name: ASCII letters and digits, parted by hyphens."""
    plain = unicodedata.normalize("NFKD", fold(name)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
