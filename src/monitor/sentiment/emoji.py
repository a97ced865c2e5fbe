"""Emoji as words, for a vocabulary that has none: its own table for the common ones, Unicode's names for the rest."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_TAIL = "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
_PAIR = "[\U0001f1e6-\U0001f1ff]{2}"
_SIGNS = (
    "[\u203c\u2049\u2139\u231a-\u23ff\u2600-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_JOINED = f"(?:\u200d[\u2600-\u27bf\U0001f300-\U0001faff]{_TAIL})*"
EMOJI: Final = re.compile(f"(?:{_PAIR}|{_SIGNS}{_TAIL}{_JOINED})+")
"""One or more emoji in a row, with their skin tones, joiners and variation selectors."""

_ONE = re.compile(f"{_PAIR}|{_SIGNS}{_TAIL}{_JOINED}")

WORDS: Final = {
    "😀": "happy", "😃": "happy", "😄": "happy", "😁": "happy grin", "😆": "laughing", "😅": "nervous laugh",
    "🤣": "laughing hard", "😂": "laughing", "🙂": "smile", "🙃": "ironic smile", "😉": "wink", "😊": "happy smile",
    "😇": "angel", "🥰": "love", "😍": "love it", "🤩": "amazing", "😘": "kiss", "😋": "delicious", "😜": "joking",
    "🤪": "crazy", "🤗": "hug", "🤔": "wondering", "🤨": "doubtful", "😐": "unimpressed", "😑": "annoyed",
    "😶": "speechless", "😏": "smirk", "😒": "annoyed", "🙄": "annoyed eye roll", "😬": "awkward", "🤥": "liar",
    "😌": "relieved", "😔": "sad", "😪": "tired", "😴": "sleeping", "😷": "sick", "🤒": "sick", "🤢": "disgusting",
    "🤮": "disgusting vomit", "🥵": "hot", "🥶": "freezing", "🤯": "shocked", "🥳": "celebrate", "😎": "cool",
    "😕": "confused", "😟": "worried", "🙁": "sad", "☹": "sad", "😮": "surprised", "😲": "shocked",
    "😳": "embarrassed", "🥺": "please", "😦": "worried", "😧": "upset", "😨": "afraid", "😰": "anxious", "😥": "sad",
    "😢": "crying sad", "😭": "crying", "😱": "shocked", "😖": "frustrated", "😣": "struggling", "😞": "disappointed",
    "😓": "stressed", "😩": "fed up", "😫": "exhausted", "🥱": "bored", "😤": "frustrated", "😡": "angry",
    "😠": "angry", "🤬": "furious swearing", "😈": "devilish", "👿": "angry", "💀": "dead", "💩": "crap",
    "🤡": "clown", "🤦": "facepalm", "🤷": "shrug", "👍": "thumbs up good", "👎": "thumbs down bad", "👏": "applause",
    "🙌": "hooray", "🙏": "please thanks", "👌": "okay good", "✌": "peace", "🤞": "fingers crossed",
    "🖕": "fuck you", "👊": "fist", "💪": "strong", "❤": "love", "♥": "love", "🧡": "love", "💛": "love",
    "💚": "love", "💙": "love", "💜": "love", "🖤": "love", "💖": "love", "💕": "love", "💗": "love", "💓": "love",
    "💞": "love", "💘": "love", "💝": "love", "💔": "heartbroken", "💯": "absolutely", "🔥": "fire", "✨": "sparkle",
    "🎉": "celebrate", "🎊": "celebrate", "⭐": "star", "🌟": "star", "✅": "check", "❌": "wrong", "❗": "!",
    "❓": "?", "‼": "!!", "⁉": "!?", "⚠": "warning", "🚫": "forbidden", "☺": "smile", "😻": "love it",
    "😹": "laughing", "😿": "crying", "✈": "plane", "🛫": "plane", "🛬": "plane", "🧳": "luggage", "📱": "phone",
    "☎": "phone", "📞": "phone", "⏰": "alarm clock", "⏳": "waiting", "🗑": "trash", "🐌": "slow snail",
    "🤑": "greedy money", "💸": "money wasted", "🥴": "dizzy", "🫠": "melting", "🫡": "salute", "🥹": "touched",
    "🫶": "love", "🤌": "perfect", "🆘": "help",
}  # fmt: skip
"""The common ones, by what they mean in a sentence rather than by what they show."""

_NOISE: Final = re.compile(r"\b(?:FACE|WITH|SIGN|SYMBOL|BLACK|WHITE|HEAVY|AND|OF|EMOJI|COMPONENT|VARIATION|SELECTOR)\b")
_MOST: Final = 6


@lru_cache(maxsize=4096)
def _word(one: str) -> str:
    """Return the words for one emoji, without its skin tone; for a joined one, those of its first part."""
    known = WORDS.get(one[0])
    if known is not None:
        return known
    if "\U0001f1e6" <= one[0] <= "\U0001f1ff":
        return "flag"
    return " ".join(_NOISE.sub("", unicodedata.name(one[0], "")).lower().replace("-", " ").split())


def emoji_words(match: re.Match[str]) -> str:
    """Return the words for a run of emoji: each kind once, at most six.

    >>> EMOJI.sub(emoji_words, "late again 😡😡😡👎🏽 and 🦀")
    'late again  angry thumbs down bad  and  crab '
    """
    words = dict.fromkeys(_word(one) for one in _ONE.findall(match[0]))
    return f" {' '.join(list(words)[:_MOST])} "
