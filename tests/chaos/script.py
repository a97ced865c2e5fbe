"""What is published: numbered mentions of many brands, and what must become of each. Seeded, and pure.

Everything that concerns one umbrella goes to one partition of `mentions`, so that a run is comparable with any other
run of the same script: which mention comes first is a matter of the script and not of who was killed when.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

Outcome = Literal["stored", "repeated", "dead", "orphan", "too_old", "no_brand"]

START = datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp()
LASTS_S = 9000.0
"""Event time from the first mention to the last: too short for an incident to calm down and close by itself."""

LINE = 40
UMBRELLAS = ("Aldora", "Brixen", "Calvane", "Dorwick", "Estrel", "Farnham", "Gildane", "Hollis")
KINDS = ("Air", "Hotels", "Rail")
MATTERS = (
    (
        "{brand} lost my suitcase with the wedding dress, awful baggage desk, please call",
        "{brand} lost our skis, awful carousel, please call me",
        "my pram got lost, awful desk, please call",
    ),
    (
        "{brand} cancelled the last connection and left us stranded in snow, what a nightmare, never again",
        "{brand} cancelled mine, stranded overnight, a nightmare, never again",
        "cancelled twice and stranded, a nightmare, never again",
    ),
    (
        "{brand} overcharged my card three times, a plain fraud, I claim every cent of that money",
        "{brand} overcharged me in January, fraud says the bank, I claim the money",
        "overcharged on this invoice, plain fraud, claim your money",
    ),
    (
        "{brand}: plaster fell on the bed, manager rude, room ruined, disgusting, somebody fix this",
        "{brand} gave me mouldy walls, rude reception, ruined carpet, disgusting, fix this",
        "water through a lamp, rude porter, bedding ruined, disgusting, fix this",
    ),
    (
        "{brand} ignored my deaf daughter at the counter, a disgrace, why does a complaint get no response",
        "{brand} ignored a blind father in spring, a disgrace, why that complaint form",
        "sign interpreter ignored, a disgrace, why no response to a complaint",
    ),
    (
        "{brand} damaged grandmother's wheelchair, broken beyond repair, pathetic and shameful",
        "{brand} damaged these crutches, broken in two, pathetic, shameful",
        "scooter damaged, broken axle, pathetic, shameful",
    ),
)
"""What each story's posts, answers and answers without a brand say: words that the stub and the model both take for
complaints, and no telling word in two of them, so that no two stories of an umbrella pass for one matter."""

NEIGHBOURS = str.split("""
    window breakfast garden platform lounge harbour museum evening ticket map corner balcony city river
    morning coffee walk bridge market train lamp blanket printer poster staircase fountain ferry umbrella
    painting timetable piano bicycle terrace library orchard tunnel kiosk signal meadow tower
""")


class Record(Struct, frozen=True, kw_only=True):
    """One record and what becomes of it: the first time it is read, and every time after that.

    `umbrellas` are those in whose stories it stands once it is stored; `gone` says that a delete takes it out again.
    """

    value: bytes
    key: str
    at: float
    first: Outcome
    again: Outcome
    source: str = ""
    id: str = ""
    umbrellas: tuple[str, ...] = ()
    gone: bool = False


class Script(Struct, frozen=True, kw_only=True):
    """All that is published, in order. `brands` is the brand file's content, `stories` those that are to page."""

    records: tuple[Record, ...]
    brands: dict[str, Any]
    stories: int

    @property
    def by_value(self) -> dict[bytes, Record]:
        return {record.value: record for record in self.records}


class Expected(Struct, frozen=True):
    """What the store must hold once everything is read. `gone`: the keys of mentions that a delete took out."""

    account: dict[str, int]
    rows: frozenset[tuple[bytes, str]]
    gone: frozenset[bytes]
    dead: int


def expected(script: Script, published: Iterable[bytes]) -> Expected:
    """Derive it from what stands in the topic: each value as often as it does."""
    by_value = script.by_value
    times = Counter(published)
    account: Counter[str] = Counter()
    rows: set[tuple[bytes, str]] = set()
    gone: set[bytes] = set()
    dead = 0
    for value, n in times.items():
        record = by_value[value]
        account[record.first] += 1
        account[record.again] += n - 1
        dead += n if record.first == "dead" else 0
        if record.first == "stored":
            key = id_key(record.source, record.id)
            rows.update((key, umbrella) for umbrella in record.umbrellas)
            if record.gone:
                gone.add(key)
    return Expected({name: n for name, n in account.items() if n}, frozenset(rows), frozenset(gone), dead)


def id_key(source: str, mention: str) -> bytes:
    """The 16 bytes that stand for an id in the store, as docs and schema have it: written here a second time."""
    return blake2b(f"{source}\0{mention}".encode(), digest_size=16).digest()


def brand_file() -> dict[str, Any]:
    return {
        "brands": [
            {
                "id": name.lower(),
                "name": name,
                "viral_line": LINE,
                "children": [{"id": f"{name}-{kind}".lower(), "name": f"{name} {kind}"} for kind in KINDS],
            }
            for name in UMBRELLAS
        ]
    }


def write(mentions: int, seed: int = 1) -> Script:
    """Write a script of about `mentions` records."""
    return _Writer(mentions, seed).write()


class _Writer:
    def __init__(self, mentions: int, seed: int) -> None:
        self._wanted = mentions
        self._dice = random.Random(seed)
        self._drafts: list[tuple[float, int, Record]] = []
        self._number = 0

    def write(self) -> Script:
        stories = 0
        for umbrella in UMBRELLAS:
            for number, kind in enumerate(KINDS):
                for half in (0, 1):
                    began = START + 900 + half * 3600 + self._dice.uniform(0, 1500)
                    self._story(umbrella, f"{umbrella} {kind}", MATTERS[2 * number + half], began)
                    stories += 1
        self._odd()
        while len(self._drafts) < self._wanted * 0.97:
            self._chatter()
        drafts = sorted(self._drafts, key=lambda draft: draft[:2])
        records = [record for _, _, record in drafts]
        for _ in range(self._wanted - len(records)):  # repeats, some at once and some much later
            which = self._dice.randrange(len(records))
            later = min(len(records), which + 1 + int(self._dice.expovariate(1 / 300)))
            records.insert(later, records[which])
        return Script(records=tuple(records), brands=brand_file(), stories=stories)

    # -- kinds of mentions

    def _story(self, umbrella: str, brand: str, matter: tuple[str, str, str], began: float) -> None:
        """A complaint that people repeat, answer and pass on, faster and faster, until half an hour is over."""
        size = self._dice.randrange(34, 52)
        post, answer, echo = (text.format(brand=brand) for text in matter)
        root = self._put(umbrella, began, post, voice=f"{post}-0", followers=4000)
        for n in range(1, size):
            at = began + 1800 * (n / size) ** 0.6
            who = f"{post}-{n}"
            kind = self._dice.random()
            if kind < 0.3:
                self._put(umbrella, at, post, voice=who)
            elif kind < 0.55:
                self._put(umbrella, at, answer, voice=who, kind="reply", in_reply_to=root)
            elif kind < 0.8:
                self._put(umbrella, at, "", voice=who, kind="repost", repost_of=root)
            else:
                self._put(umbrella, at, echo, voice=who, kind="reply", in_reply_to=root)

    def _chatter(self) -> None:
        umbrella = self._dice.choice(UMBRELLAS)
        names = [f"{umbrella} {self._dice.choice(KINDS)}"]
        umbrellas = [umbrella]
        if self._dice.random() < 0.03:
            other = self._dice.choice([name for name in UMBRELLAS if name != umbrella])
            names.append(f"{other} {self._dice.choice(KINDS)}")
            umbrellas.append(other)
        words = " ".join(self._dice.choice(NEIGHBOURS) for _ in range(9))
        at = START + self._dice.uniform(0, LASTS_S)
        self._put(umbrella, at, f"{words} {' and '.join(names)} {words[::-1][:12]}", umbrellas=tuple(umbrellas))

    def _odd(self) -> None:
        """All that is no plain mention, a fiftieth of the whole for each kind."""
        dice, many = self._dice, max(10, self._wanted // 50)
        for _ in range(many):
            umbrella, at = dice.choice(UMBRELLAS), START + dice.uniform(60, LASTS_S - 900)
            brand = f"{umbrella} {dice.choice(KINDS)}"
            words = " ".join(dice.choice(NEIGHBOURS) for _ in range(9))
            self._put(umbrella, at, f"Nothing but {words}", first="no_brand", again="no_brand", umbrellas=())
            lost = f"n-{dice.randrange(10**6):06d}-never"
            self._put(umbrella, at, "so true", kind="reply", in_reply_to=lost, first="no_brand", umbrellas=())
            self._put(umbrella, at, "", kind="delete", target=lost, first="orphan", umbrellas=())
            late = START + dice.uniform(0.6, 0.9) * LASTS_S  # by then every partition has a clock
            self._put(umbrella, late, f"{words} {brand}", published=late - 60 * 3600, first="too_old",
                      again="too_old", umbrellas=())  # fmt: skip
            self._dead(umbrella, at)
            target = self._put(umbrella, at, f"{words} {brand} first words")
            when = at + dice.choice((-30, 30, 600))  # a change may come before what it changes
            self._put(umbrella, when, f"{words} {brand} other words", kind="edit", target=target, revision=1,
                      umbrellas=())  # fmt: skip
            target = self._put(umbrella, at + 1, f"{words[::-1]} {brand}", gone=True)
            self._put(umbrella, when + 1, "", kind="delete", target=target, revision=1, umbrellas=())

    def _dead(self, umbrella: str, at: float) -> None:
        name = self._next()
        good = {"id": name, "source": "forum", "text": "x", "published_at": _iso(at), "observed_at": _iso(at)}
        value = self._dice.choice(
            (
                f'{{"id": "{name}", broken'.encode(),
                json.dumps({**good, "text": 7}).encode(),
                json.dumps({**good, "source": None}).encode(),
                json.dumps({**good, "published_at": "2077-01-01T00:00:00Z"}).encode(),
                json.dumps({**good, "text": "nul \0 inside"}).encode(),
                json.dumps({**good, "text": "half a pair \ud800"}).encode(),
                b"\xff\xfe" + name.encode(),
            )
        )
        self._add(Record(value=value, key=umbrella, at=at, first="dead", again="dead"))

    def _put(
        self,
        umbrella: str,
        at: float,
        text: str,
        *,
        voice: str | None = None,
        followers: int = 50,
        published: float | None = None,
        first: Outcome = "stored",
        again: Outcome = "repeated",
        umbrellas: tuple[str, ...] | None = None,
        gone: bool = False,
        **fields: Any,
    ) -> str:
        name = self._next()
        mention = {
            "id": name,
            "source": "forum",
            "text": f"{text} {name}" if text else "",
            "published_at": _iso(at if published is None else published),
            "observed_at": _iso(at),
            "author": {"id": voice or f"voice-{name}", "followers": followers},
            **fields,
        }
        named = (umbrella,) if umbrellas is None else umbrellas
        self._add(
            Record(
                value=json.dumps(mention).encode(),
                key=umbrella,
                at=at,
                first=first,
                again=again,
                source="forum",
                id=name,
                umbrellas=tuple(name.lower() for name in named),
                gone=gone,
            )
        )
        return name

    def _next(self) -> str:
        self._number += 1
        return f"n-{self._number:06d}"

    def _add(self, record: Record) -> None:
        self._drafts.append((record.at, len(self._drafts), record))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat()
