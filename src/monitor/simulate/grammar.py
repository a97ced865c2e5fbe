"""Texts from templates: `{slot}` stands for one of the slot's phrases, which may hold slots themselves."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.simulate.dice import Dice

    Filler = Callable[["Dice", "Mapping[str, str]"], str]

_SLOT = re.compile(r"\{(\w+)\}")
_LATER = re.compile(r"([.!?] )\{([a-z]\w*)\}")
_FIRST = re.compile(r"(^)\{([a-z]\w*)\}")


@cache
def words(name: str) -> dict[str, Any]:
    """Return a file of phrases that stands beside this one.

    >>> "hours" in words("slots.toml")
    True
    """
    return tomllib.loads((files("monitor.simulate") / name).read_text(encoding="utf-8"))


class Grammar:
    """Fills templates. `slots` maps a slot's name to its phrases; a name that is not there is asked of the caller.

    At the start of a sentence a slot's phrase gets a capital. `given` names what callers bring in both spellings.

    Errors: KeyError where a slot is neither in the grammar nor given.

    >>> from monitor.simulate.dice import Dice
    >>> grammar = Grammar({"thing": ["bag", "{colour} case"], "colour": ["red"]})
    >>> grammar.fill("{who} lost my {thing}", Dice(1, "doc"), {"who": "They"}) in {
    ...     "They lost my bag", "They lost my red case"}
    True
    """

    def __init__(self, slots: Mapping[str, Sequence[str]], given: Sequence[str] = ()) -> None:
        self._lower = {*slots, *given}
        spelt = {**slots, **{capital(name): [capital(phrase) for phrase in slots[name]] for name in slots}}
        self._slots = {name: tuple(self._compile(phrase) for phrase in phrases) for name, phrases in spelt.items()}
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}

    def fill(self, template: str, dice: Dice, given: Mapping[str, str]) -> str:
        """Return `template` with its slots filled; `given` goes before the grammar's own slots."""
        made = self._known.get(template)
        if made is None:
            made = self._known[template] = self._compile(_FIRST.sub(self._begin, template))
        return self._fill(made, dice, given)

    def _fill(self, made: tuple[str, tuple[str, ...]], dice: Dice, given: Mapping[str, str]) -> str:
        pattern, names = made
        if not names:
            return pattern
        parts = []
        for name in names:
            part = given.get(name)
            if part is None:
                phrases = self._slots[name]
                part = self._fill(phrases[dice.draw() % len(phrases)], dice, given)
            parts.append(part)
        return pattern % tuple(parts)

    def _compile(self, phrase: str) -> tuple[str, tuple[str, ...]]:
        phrase = _LATER.sub(self._begin, phrase)
        names = tuple(_SLOT.findall(phrase))
        return (_SLOT.sub("%s", phrase.replace("%", "%%")) if names else phrase), names

    def _begin(self, slot: re.Match[str]) -> str:
        before, name = slot.groups()
        return f"{before}{{{capital(name) if name in self._lower else name}}}"


def capital(phrase: str) -> str:
    """Return `phrase` with a capital first letter, be it a letter or a slot's name.

    >>> capital("my bag"), capital("{kin}'s bag")
    ('My bag', "{Kin}'s bag")
    """
    if ".example" in phrase:
        return phrase  # a link stays as it is
    start = 1 if phrase[:1] == "{" else 0
    return phrase[:start] + phrase[start : start + 1].upper() + phrase[start + 1 :]
