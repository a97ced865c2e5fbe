"""Which brands a mention names: one pass over its text, whatever the number of aliases.

Aho and Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18(6), 1975, as `ahocorasick_rs`
does it.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final
from unicodedata import category, normalize

from ahocorasick_rs import AhoCorasick, Implementation
from msgspec import Struct

from monitor.brand.tree import account, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.brand.tree import BrandTree
    from monitor.mention.model import Author, Mention

_ALIAS, _HANDLE, _VETO = 0, 1, 2
_REMEMBERED: Final = 10_000
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul: particles follow without a blank
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, further planes
)


class Hit(Struct, frozen=True):
    """An umbrella that a mention names, and the deepest nodes below it that it names (or the umbrella itself)."""

    umbrella: str
    brands: tuple[str, ...]


class _Pattern(Struct, frozen=True):
    """What one string in the automaton means: an alias, a handle, or a phrase that must not match."""

    kind: int
    node: str


class BrandMatcher:
    """Finds the brands of mentions. It may be shared by threads.

    An alias matches as a whole word or phrase (in scripts without blanks, anywhere), folded as `fold` says, but not
    right after an @: there only the listed handles match, and a # before a handle does as well. Of matches that overlap
    the longest wins. A phrase that must not match takes away the matches of its node, and of those below it, that it
    overlaps.

    >>> from monitor.brand.tree import BrandTree
    >>> matcher = BrandMatcher(BrandTree.from_names(["Meridian Air", "Café Nord"]))
    >>> matcher.find("@MeridianAir lost my bag; at least the coffee of Cafe Nord was hot")
    (Hit(umbrella='meridian-air', brands=('meridian-air',)), Hit(umbrella='cafe-nord', brands=('cafe-nord',)))
    >>> matcher.find("the Meridian aircraft")
    ()
    """

    def __init__(self, tree: BrandTree) -> None:
        self.tree = tree
        self._order = {node.id: number for number, node in enumerate(tree.nodes)}
        self._lineage = {node.id: frozenset((node.id, *tree.ancestors(node.id))) for node in tree.nodes}
        meanings = _meanings(tree)
        self._meanings = tuple(tuple(found) for found in meanings.values())
        many = len(meanings) > _REMEMBERED // 10
        kind = Implementation.ContiguousNFA if many else Implementation.DFA
        self._automaton = AhoCorasick(list(meanings), implementation=kind) if meanings else None
        self._named = _names(tree)
        self._accounts = _accounts(tree)
        self._hits: dict[frozenset[str], tuple[Hit, ...]] = {}

    def match(self, mention: Mention) -> tuple[Hit, ...]:
        """Find the brands of a mention, grouped by umbrella, in the tree's order; none at all: nothing.

        A `brand` that the source gives, and that the tree knows by id, name, alias or handle, decides alone. What an
        account of the brand's own says is about its brand: the nodes named below the same umbrella, or the account's.
        """
        if mention.brand is not None and (known := self._named.get(_key(mention.brand))):
            return self._grouped(frozenset((known,)))
        if mention.author is not None and (owners := self._owners(mention.author, mention.source)):
            umbrellas = {self.tree.umbrella_of(owner) for owner in owners}
            named = {node for node in self._nodes(mention.text) if self.tree.umbrella_of(node) in umbrellas}
            return self._grouped(frozenset(named | owners))
        return self.find(mention.text)

    def find(self, text: str) -> tuple[Hit, ...]:
        """Find the brands that a text names."""
        return self._grouped(self._nodes(text))

    def is_own(self, mention: Mention) -> bool:
        """Whether the brand itself speaks: an account of any node's own, or one of its handles."""
        return mention.author is not None and bool(self._owners(mention.author, mention.source))

    def _owners(self, author: Author, source: str) -> set[str]:
        owners: set[str] = set()
        for name in (author.handle, author.id):
            if name:
                key = account(name)
                owners.update(self._accounts.get((key, None), ()), self._accounts.get((key, source), ()))
        return owners

    def _nodes(self, text: str) -> frozenset[str]:
        """The nodes that a text names."""
        if self._automaton is None or not text:
            return frozenset()
        folded = phrase(html.unescape(text) if "&" in text else text)
        found: list[tuple[int, int, int, str]] = []
        vetoed: dict[str, bytearray] = {}
        for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            if not _stands_alone(folded, start, end):
                continue
            for pattern in self._meanings[number]:
                if pattern.kind == _VETO:
                    vetoed.setdefault(pattern.node, bytearray(len(folded)))[start:end] = b"\1" * (end - start)
                elif pattern.kind == _HANDLE or start == 0 or folded[start - 1] != "@":
                    found.append((start - end, start, end, pattern.node))
        if vetoed:
            found = [match for match in found if not self._is_vetoed(match, vetoed)]
        return frozenset(_longest(found, len(folded)) if len(found) > 1 else (node for _, _, _, node in found))

    def _is_vetoed(self, match: tuple[int, int, int, str], vetoed: dict[str, bytearray]) -> bool:
        """Whether a phrase that must not match, of the node or of one above it, overlaps the match."""
        _, start, end, node = match
        return any(1 in vetoed[above][start:end] for above in self._lineage[node] if above in vetoed)

    def _grouped(self, nodes: frozenset[str]) -> tuple[Hit, ...]:
        """Group nodes by umbrella; one that a node below it implies is not repeated."""
        hits = self._hits.get(nodes)
        if hits is None:
            implied = {above for node in nodes for above in self.tree.ancestors(node)}
            grouped: dict[str, list[str]] = {}
            for node in sorted(nodes - implied, key=self._order.__getitem__):
                grouped.setdefault(self.tree.umbrella_of(node), []).append(node)
            hits = tuple(Hit(umbrella, tuple(brands)) for umbrella, brands in grouped.items())
            if len(self._hits) < _REMEMBERED:
                self._hits[nodes] = hits
        return hits


def _meanings(tree: BrandTree) -> dict[str, list[_Pattern]]:
    """Every string to look for, with what it means."""
    meanings: dict[str, list[_Pattern]] = {}
    for node in tree.nodes:
        for kind, phrases in ((_ALIAS, node.aliases), (_VETO, node.must_not_match)):
            for text in phrases:
                for spelling in {text, _without_accents(text)}:
                    meanings.setdefault(spelling, []).append(_Pattern(kind, node.id))
        for handle in node.handles:
            for sign in "@#":
                meanings.setdefault(sign + handle, []).append(_Pattern(_HANDLE, node.id))
    return meanings


def _names(tree: BrandTree) -> dict[str, str]:
    """By what a source may name a node: its id first, then name, alias, handle."""
    named = {node.id: node.id for node in tree.nodes}
    for node in tree.nodes:
        for name in (node.name, *node.aliases, *(f"@{handle}" for handle in node.handles)):
            named.setdefault(_key(name), node.id)
    return named


def _accounts(tree: BrandTree) -> dict[tuple[str, str | None], set[str]]:
    """Whose an account is, by its folded handle or id and, where it is bound to one, its source."""
    owners: dict[tuple[str, str | None], set[str]] = {}
    for node in tree.nodes:
        for own in node.own_accounts:
            owners.setdefault((own.name, own.source), set()).add(node.id)
        for handle in node.handles:
            owners.setdefault((handle, None), set()).add(node.id)
    return owners


def _longest(found: list[tuple[int, int, int, str]], length: int) -> Iterable[str]:
    """The nodes of the longest matches that do not overlap; of equally long ones, that which starts first."""
    taken, spans = bytearray(length), set()
    for _, start, end, node in sorted(found):
        if (start, end) in spans or 1 not in taken[start:end]:
            taken[start:end] = b"\1" * (end - start)
            spans.add((start, end))
            yield node


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a match is a word or phrase of its own, and no part of a longer word."""
    if start and _joined(text[start - 1], text[start]):
        return False
    if start and text[start] == "@" and _is_word(text[start - 1]):
        return False
    return end == len(text) or not _joined(text[end - 1], text[end])


def _joined(one: str, other: str) -> bool:
    """Whether two neighbours are of one word."""
    return _is_word(one) and _is_word(other) and not (_is_unspaced(one) or _is_unspaced(other))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_" or (char > "\x7f" and category(char)[0] == "M")


def _is_unspaced(char: str) -> bool:
    return char > "\u0dff" and any(first <= ord(char) <= last for first, last in _UNSPACED)


def _without_accents(text: str) -> str:
    """A phrase in Latin letters as people type it without accents; any other as it is."""
    if text.isascii():
        return text
    bare = "".join(char for char in normalize("NFKD", text) if category(char) != "Mn")
    return bare if bare.isascii() else text


def _key(name: str) -> str:
    return name if name.isascii() and name.islower() and " " not in name else phrase(name)
