"""YAML files that know their lines, so that a bad one is refused with file, line and the mend."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from collections.abc import Iterable


class FileError(ValueError):
    """A file that is refused. Its text is `file:line: what is wrong; what to do`."""

    def __init__(self, path: Path, line: int, problem: str, mend: str) -> None:
        super().__init__(f"{path}:{line}: {problem}; {mend}")
        self.path, self.line, self.problem, self.mend = path, line, problem, mend


class Section:
    """A YAML mapping with its file and lines (1 is the first)."""

    def __init__(self, path: Path, data: CommentedMap) -> None:
        self.path, self.data = path, data

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def keys(self) -> list[str]:
        """Give the keys in the file's order."""
        return [str(key) for key in self.data]

    def line(self, key: str | None = None) -> int:
        """Give the line of a key; without one, or where the key is absent, that of the section."""
        places = self.data.lc
        return int(places.key(key)[0] if key in (places.data or {}) else places.line) + 1

    def error(self, key: str | None, problem: str, mend: str) -> FileError:
        """Make the error that refuses the file at a key."""
        return FileError(self.path, self.line(key), problem, mend)

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that are not known."""
        allowed = list(known)
        for key in self.keys():
            if key not in allowed:
                near = get_close_matches(key, allowed, 1)
                mend = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(allowed)}"
                raise self.error(key, f"unknown key {key!r}", mend)

    def text(self, key: str) -> str | None:
        """Give a text, or None where the key is absent. An empty one, or a number, is refused."""
        value = self.data.get(key)
        return None if key not in self.data else self._text(value, key, self.line(key))

    def needed(self, key: str) -> str:
        """Give a text that must be there."""
        value = self.text(key)
        if value is None:
            raise self.error(None, f"{key!r} is missing", f"add `{key}: ...` here")
        return value

    def number(self, key: str, *, least: float) -> float | None:
        """Give a number of at least `least`, or None where the key is absent."""
        value = self.data.get(key)
        if key not in self.data:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
            raise self.error(key, f"{key!r} is {value!r}", f"give a number of {least:g} or more")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"{key!r} is {value!r}", "give true or false")
        return value

    def items(self, key: str) -> list[tuple[Any, int]]:
        """Give a list's items with their lines; empty where the key is absent."""
        value = self.data.get(key)
        if key not in self.data:
            return []
        if not isinstance(value, CommentedSeq):
            raise self.error(key, f"{key!r} is no list", f"write `{key}: [...]`, or one `- ...` a line below it")
        return [(item, int(value.lc.item(index)[0]) + 1) for index, item in enumerate(value)]

    def texts(self, key: str) -> list[tuple[str, int]]:
        """Give a list of texts with their lines; empty where the key is absent."""
        return [(self._text(item, key, line), line) for item, line in self.items(key)]

    def section(self, key: str) -> Section | None:
        """Give the mapping under a key, or None where the key is absent."""
        if key not in self.data:
            return None
        if not isinstance(self.data[key], CommentedMap):
            raise self.error(key, f"{key!r} holds no keys", f"write `{key}:`, and `key: value` lines below it")
        return Section(self.path, self.data[key])

    def sections(self, key: str) -> list[Section]:
        """Give a list of mappings; empty where the key is absent."""
        found = []
        for item, line in self.items(key):
            if not isinstance(item, CommentedMap):
                raise FileError(self.path, line, f"an item of {key!r} holds no keys", "write `- id: ...` and so on")
            found.append(Section(self.path, item))
        return found

    def _text(self, value: Any, key: str, line: int) -> str:
        if isinstance(value, str) and value.strip():
            return str(value).strip()
        if isinstance(value, str) or value is None:
            raise FileError(self.path, line, f"{key!r} is empty", "write a text, or take the line out")
        if isinstance(value, CommentedMap | CommentedSeq):
            raise FileError(self.path, line, f"{key!r} is no text", "write one text")
        raise FileError(self.path, line, f"{key!r} is {value!r}, which YAML reads as no text", "put it in quotes")


def load(path: Path | str) -> Section:
    """Read a YAML file whose top level is a mapping.

    Raises:
        FileError: it cannot be read, is no YAML, has a key twice, or has something else at its top level.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(path, 1, f"cannot be read ({error.strerror})", "check the path and its rights") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileError(path, line, "is not UTF-8", "save it as UTF-8") from error
    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        said = (error.problem or error.context or "unreadable").splitlines()[0]
        raise FileError(path, line, f"is no YAML: {said}", "check indentation, quotes and colons here") from error
    except (YAMLError, ValueError) as error:
        raise FileError(path, 1, f"is no YAML: {str(error).splitlines()[0]}", "save it as plain text") from error
    if not isinstance(data, CommentedMap):
        raise FileError(path, 1, "holds no keys at its top level", "see the documented example")
    return Section(path, data)
