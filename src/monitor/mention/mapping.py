"""Brings other people's JSON into the mention's form, by a small YAML file.

```yaml
fields:
  id: id                                    # the mention's field: where to find it, a dotted path
  source: {const: twitter}                  # always this
  text: {path: [full_text, text]}           # the first that is there
  published_at: {path: created, time: "%a %b %d %H:%M:%S %z %Y"}
  author.handle: user.screen_name
  kind: {path: type, lower: true, values: {status: post, retweet: repost}, default: post}
```

`time` is `seconds`, `milliseconds`, `iso` or a `strptime` format; a time without a zone is taken as UTC. A number where
the mention has a text becomes text, and digits where it has a count become a number. What is absent or null is left
out; what does not fit is passed on as it is, for `decode` to name. Fields that are not listed are ignored. No line can
be skipped: every one has to be accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from datetime import UTC, datetime
from functools import reduce
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from monitor.mention.model import Author, Engagement, Mention
from monitor.mention.yamlfile import FileError, Section, load

_PARTS: Final[dict[str, type[Struct]]] = {"author": Author, "engagement": Engagement}
_TIMES: Final = frozenset({"published_at", "observed_at", "author.created_at"})
_COUNTS: Final = frozenset({"revision", "author.followers", *(f"engagement.{f.name}" for f in fields(Engagement))})
_TARGETS: Final = tuple(
    name
    for field in fields(Mention)
    for name in (
        [f"{field.name}.{part.name}" for part in fields(_PARTS[field.name])] if field.name in _PARTS else [field.name]
    )
)
_OTHERS: Final = frozenset({"media", "author.verified"})
_EPOCHS: Final = {"seconds": 1.0, "milliseconds": 1e-3}
_MOST_DIGITS: Final = 19


class _Rule(Struct, frozen=True):
    """How one field of the mention is found."""

    target: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...] = ()
    default: Any = None
    lower: bool = False
    values: dict[str, str] = {}
    time: str | None = None
    is_text: bool = False
    is_count: bool = False

    def find(self, thing: Any) -> Any:
        """Find the field's value in `thing`; None if it is not there."""
        value = next((value for path in self.paths if (value := reduce(_step, path, thing)) is not None), None)
        if value is None:
            return self.default
        if self.time is not None:
            return _read_time(value, self.time)
        if self.is_text and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        elif self.is_count:
            return _read_count(value)
        if isinstance(value, str) and (self.lower or self.values):
            value = value.lower() if self.lower else value
            return self.values.get(value, self.default or value)
        return value


class Mapping:
    """A mapping from other people's JSON objects to a mention's, read from a file.

    >>> mapping = Mapping.named("airline")
    >>> mapping.apply({"id": "7", "channel": "twitter", "text": "Late", "created_at": "2026-01-05T10:00:00Z", "x": 1})
    {'id': '7', 'source': 'twitter', 'published_at': '2026-01-05T10:00:00Z', 'text': 'Late'}
    """

    def __init__(self, name: str, rules: tuple[_Rule, ...]) -> None:
        self.name = name
        self._rules = rules

    @classmethod
    def load(cls, path: Path | str) -> Mapping:
        """Read a mapping from a YAML file.

        Raises:
            FileError: the file is refused, with its line and the mend.
        """
        top = load(path)
        top.only(["fields"])
        listed = top.section("fields")
        if listed is None:
            raise top.error(None, "'fields' is missing", "add `fields:` with a line for each of the mention's fields")
        listed.only(_TARGETS)
        for needed in ("id", "source", "published_at"):
            if needed not in listed:
                raise top.error("fields", f"nothing gives {needed!r}", f"add `{needed}: ...` below `fields`")
        rules = {target: _read_rule(listed, target) for target in listed.keys()}  # noqa: SIM118 -- a Section is no dict
        return cls(Path(path).stem, tuple(rules[target] for target in _TARGETS if target in rules))

    @classmethod
    def named(cls, name: str) -> Mapping:
        """Read a mapping that comes with the package, by its name, or any file, by its path.

        Raises:
            FileError: no such mapping, or the file is refused.
        """
        path = Path(name)
        if path.suffix or len(path.parts) > 1 or path.exists():
            return cls.load(path)
        folder = files("monitor.mention") / "mappings"
        if not (packaged := folder / f"{name}.yaml").is_file():
            names = ", ".join(packaged_mappings())
            raise FileError(path, 1, "no such mapping comes along", f"give a file, or one of: {names}")
        with as_file(packaged) as file:
            return cls.load(file)

    def apply(self, thing: AbstractMapping[str, Any]) -> dict[str, Any]:
        """Make the mention's JSON object from another; whether it is a good one is for `decode` to say."""
        made: dict[str, Any] = {}
        for rule in self._rules:
            value = rule.find(thing)
            if value is not None:
                *outer, last = rule.target
                (made.setdefault(outer[0], {}) if outer else made)[last] = value
        return made


def _read_rule(listed: Section, target: str) -> _Rule:
    """Read one line of `fields`."""
    parts = tuple(target.split("."))
    is_text = target not in _TIMES | _COUNTS | _OTHERS
    if isinstance(listed.data[target], str):
        path = _read_path(listed, target, listed.needed(target))
        return _Rule(parts, (path,), is_text=is_text, is_count=target in _COUNTS)
    given = listed.section(target) if isinstance(listed.data[target], dict) else None
    if given is None or ("const" in given) == ("path" in given):
        raise listed.error(target, f"{target!r} needs either 'path' or 'const'", "give a dotted path, or {const: ...}")
    if "const" in given:
        given.only(["const"])
        return _Rule(parts, default=given.data["const"])
    given.only(["path", "lower", "values", "default", *(["time"] if target in _TIMES else [])])
    found = given.texts("path") if isinstance(given.data["path"], list) else [(given.needed("path"), 0)]
    values = given.section("values")
    return _Rule(
        parts,
        tuple(_read_path(given, "path", path) for path, _ in found),
        default=given.data.get("default"),
        lower=given.flag("lower", default=False),
        values={key: values.needed(key) for key in values.keys()} if values else {},  # noqa: SIM118 -- no dict
        time=_read_format(given),
        is_text=is_text,
        is_count=target in _COUNTS,
    )


def _read_path(section: Section, key: str, path: str) -> tuple[str, ...]:
    """Split a dotted path."""
    steps = tuple(path.split("."))
    if not all(steps):
        raise section.error(key, f"the path {path!r} has an empty step", "write names with one dot between them")
    return steps


def _read_format(given: Section) -> str | None:
    """Read how a time is written, and refuse what says nothing."""
    time = given.text("time")
    if time is not None and time != "iso" and time not in _EPOCHS and "%" not in time:
        raise given.error(
            "time", f"'time' is {time!r}", "give seconds, milliseconds, iso, or a format such as %d/%m/%Y"
        )
    return time


def _step(thing: Any, name: str) -> Any:
    """Go one step into JSON: a key of an object, or an index of an array; None where there is nothing."""
    if isinstance(thing, AbstractMapping):
        return thing.get(name)
    if isinstance(thing, list) and name.isascii() and name.isdigit() and int(name) < len(thing):
        return thing[int(name)]
    return None


def _read_time(value: Any, how: str) -> Any:
    """Bring a time to RFC 3339; what cannot be read is given back as it is."""
    try:
        if how in _EPOCHS:
            at = datetime.fromtimestamp(float(value) * _EPOCHS[how], UTC)
        else:
            at = datetime.fromisoformat(value) if how == "iso" else datetime.strptime(value, how)  # noqa: DTZ007 -- below
    except (ValueError, TypeError, OverflowError, OSError):
        return value
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _read_count(value: Any) -> Any:
    """Bring digits, or a whole float, to a number; anything else is given back as it is."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def packaged_mappings() -> tuple[str, ...]:
    """Return the names that `Mapping.named` knows besides files.

    >>> packaged_mappings()
    ('airline',)
    """
    entries = (files("monitor.mention") / "mappings").iterdir()
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml")))
