"""How people write: sentences from the grammar, dressed with openings, tails, hashtags, links and slips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.simulate.draft import SOCIAL
from monitor.simulate.grammar import Grammar, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.simulate.cast import Node
    from monitor.simulate.dice import Dice

GIVEN = ("who", "whom", "outcome")
MOODS = {
    "review": ("bad",) * 7 + ("good",) * 10 + ("question",) * 3,
    "phone": ("bad",) * 13 + ("question",) * 6 + ("good",),
    "email": ("bad",) * 13 + ("question",) * 5 + ("good",) * 2,
    "chat": ("bad",) * 11 + ("question",) * 9,
}
ANYWHERE = ("bad",) * 9 + ("question",) * 6 + ("good",) * 5


class Speech:
    """Makes texts of one simulation. All draws come from the dice that a caller brings."""

    def __init__(self) -> None:
        chatter = words("chatter.toml")
        self._say: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
            (trade, mood): tuple(tuple(topic["texts"]) for topic in topics.values() for _ in range(topic["weight"]))
            for trade, moods in chatter["say"].items()
            for mood, topics in moods.items()
        }
        self._forms: dict[str, Any] = chatter
        every = (text for topics in self._say.values() for topic in topics for text in topic)
        self._beginnings = {text.partition(" ")[0] for text in every} | {"My", "Our", "Both", "An", "A"}
        self._beginnings -= {"I", "I'm", "I've", "I'd"}
        self._answers = {
            (mood, trade): (*texts["any"], *texts.get(trade, ()))
            for mood, texts in chatter["answer"].items()
            for trade in ("air", "hotel")
        }
        self._face, self._tag = (
            {mood: tuple(words("slots.toml")[f"{mark}_{mood}"]) for mood in ("bad", "question", "plans", "good")}
            for mark in ("face", "tag")
        )
        self.grammar = Grammar(
            {**words("slots.toml"), **{name: words("tales.toml")["crowd"][name] for name in ("photo", "feeling")}},
            GIVEN,
        )

    def ordinary(self, dice: Dice, node: Node, source: str) -> tuple[str, str]:
        """Return an ordinary text about `node` as one writes on `source`, and its mood (bad, question, plans, good)."""
        mood = dice.pick(MOODS.get(source, ANYWHERE))
        if source in SOCIAL or source == "reddit":
            given = {"brand": dice.pick(node.names if source == "reddit" else node.social)}
            return self.dress(dice, self._core(dice, node, mood, given), mood), mood
        return self._formal(dice, node, source, mood), mood

    def _core(self, dice: Dice, node: Node, mood: str, given: Mapping[str, str]) -> str:
        return self.grammar.fill(dice.pick(dice.pick(self._say[node.trade, mood])), dice, given)

    def _formal(self, dice: Dice, node: Node, source: str, mood: str) -> str:
        given = {"brand": dice.pick(node.names)}
        if source != "review":
            given["ref"] = "".join(dice.pick("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(6))
            given["signed"] = f"{dice.pick(words('slots.toml')['first'])} {dice.pick(words('slots.toml')['last'])}"
        given["core"] = self._core(dice, node, mood, given)
        given["core2"] = self._core(dice, node, mood, given) if source == "review" else ""
        if source == "chat":
            return given["core"]
        form = {"review": "review", "phone": "call", "email": "mail"}[source]
        return self.grammar.fill(dice.pick(self._forms[form][mood]["texts"]), dice, given).strip()

    def dress(self, dice: Dice, core: str, mood: str) -> str:
        """Return `core` as somebody in that mood types it."""
        text = core
        roll = dice.draw() & 1023
        if roll < 230:  # noqa: PLR2004 -- shares of 1,024
            opening = self.grammar.fill(f"{{open_{mood}}}", dice, {})
            text = f"{opening} {core if opening[-1] in '.?!' else self._soft(core)}"
        if roll & 15 < 7:  # noqa: PLR2004
            text = f"{text} {self.grammar.fill(f'{{more_{mood}}}', dice, {})}"
        roll = dice.draw() & 1023
        if roll < 120:  # noqa: PLR2004
            text = text.lower() if text.isascii() else text
        elif roll < 180:  # noqa: PLR2004
            text = slip(dice, text)
        elif roll < 330 and text.endswith("."):  # noqa: PLR2004
            text = text[:-1] + dice.pick(("", "", "!", "...", "!!"))
        return self._tail(dice, text, mood)

    def _soft(self, core: str) -> str:
        """Return `core` as it stands after a comma: a small letter, unless it begins with a name."""
        return core[0].lower() + core[1:] if core.partition(" ")[0] in self._beginnings else core

    def _tail(self, dice: Dice, text: str, mood: str) -> str:
        roll = dice.draw() & 1023
        if roll < 160:  # noqa: PLR2004
            return f"{text} {dice.pick(self._face[mood])}"
        if roll < 290:  # noqa: PLR2004
            return f"{text} {dice.pick(self._tag[mood])}"
        if roll < 330:  # noqa: PLR2004
            return f"{text} {self.grammar.fill('{photo}', dice, {})}"
        return text

    def answer(self, dice: Dice, mood: str, trade: str) -> str:
        """Return a reply to a text in that mood about an airline or a hotel (`trade`), or the brand's own (`own`)."""
        texts = self._answers[mood, trade]
        text = self.grammar.fill(dice.pick(texts), dice, {})
        return text if mood == "own" or not dice.chance(0.12) else f"{text} {dice.pick(self._face[mood])}"

    def quote(self, dice: Dice, mood: str, node: Node) -> str:
        """Return what somebody puts above a text in that mood."""
        return self.grammar.fill(
            dice.pick(self._forms["quote"][mood]["texts"]), dice, {"brand": dice.pick(node.social)}
        )

    def abroad(self, dice: Dice, node: Node) -> tuple[str, str]:
        """Return a language other than English, and a text about `node` in it."""
        lang = dice.pick(tuple(self._forms["abroad"]))
        return lang, self.grammar.fill(dice.pick(self._forms["abroad"][lang]), dice, {"brand": dice.pick(node.social)})

    def noise(self, dice: Dice) -> str:
        """Return a text that names no brand, though it may look as if."""
        return self.grammar.fill(dice.pick(self._forms["noise"]["texts"]), dice, {})


def slip(dice: Dice, text: str) -> str:
    """Return `text` with one slip of the fingers in a word of plain letters: two swapped, one lost or one doubled.

    >>> from monitor.simulate.dice import Dice
    >>> slip(Dice(3, "doc"), "nothing") != "nothing"
    True
    """
    parts = text.split(" ")
    for _ in range(4):
        place = dice.draw() % len(parts)
        word = parts[place]
        if len(word) > 4 and word.isalpha() and word.islower():  # noqa: PLR2004 -- short words are seldom mistyped
            at = 1 + dice.draw() % (len(word) - 3)
            how = dice.draw() % 3
            middle = (word[at + 1] + word[at], word[at + 1], word[at] + word[at] + word[at + 1])[how]
            parts[place] = word[:at] + middle + word[at + 2 :]
            break
    return " ".join(parts)
