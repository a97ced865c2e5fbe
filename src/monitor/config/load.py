"""From a file and the environment to settings, or to errors that say where and what to do."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from monitor.config.settings import Settings
from monitor.mention.yamlfile import FileError
from monitor.mention.yamlfile import load as load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

PREFIX = "MONITOR_"
DEFAULT_FILE = Path("monitor.yaml")
SECRETS = frozenset({"secret", "password", "token", "link_secret", "routing_key", "address"})
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CAUSES = ("model", "causes")
_SHIPPED = re.compile(r"travel|retail|software")
_PATHS = (
    *(("brands",), ("rules",), ("oncall",), ("model", "path"), ("model", "shadow"), _CAUSES),
    *(("kafka", "security", f"{what}_file") for what in ("ca", "cert", "key")),
)

Loc = tuple[str | int, ...]


class ConfigError(ValueError):
    """The configuration is refused. `problems` are lines of `file:line: what is wrong; what to do`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def find(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """Say which file counts: `path`, else what MONITOR_CONFIG names, else ./monitor.yaml if it is there, else none."""
    named = path or (os.environ if environ is None else environ).get(f"{PREFIX}CONFIG")
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def load(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file (see `find`), lay the environment over it, and validate all of it.

    `MONITOR_SECTION__KEY` replaces one value, lists and mappings in YAML's flow style. `${NAME}` in a value of the
    file is taken from the environment; so is `key_env: NAME`, for `key`. Paths are relative to the file.

    Raises:
        ConfigError: with a line for every wrong value.
    """
    environ = os.environ if environ is None else environ
    return _Source(find(path, environ), environ).settings()


class _Source:
    """The raw values, and where each of them stands."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._path, self._environ = path, environ
        self._problems: list[str] = []
        self._variables: dict[Loc, str] = {}  # values that came from MONITOR_... variables
        self._written: dict[Loc, str] = {}  # what stands in the file, where it was replaced
        self._file = self._read(path) if path is not None else CommentedMap()

    def settings(self) -> Settings:
        plain = self._plain(self._file, ())
        assert isinstance(plain, dict)  # noqa: S101 -- a mapping stays one
        self._overlay(plain)
        if self._path is not None:
            self._anchor(plain)
        try:
            settings = Settings.model_validate(plain)
        except ValidationError as error:
            refused = error.errors(include_url=False, include_context=False)
            self._problems += [self._told(one) for one in refused]
        if self._problems:
            raise ConfigError(sorted(self._problems, key=_line))
        return settings

    def _read(self, path: Path) -> CommentedMap:
        try:
            if all(
                line.lstrip().startswith("#") or not line.strip()
                for line in path.open("rb").read().decode().splitlines()
            ):
                return CommentedMap()  # an example that is all comments
        except (OSError, UnicodeDecodeError):
            pass  # said with its line just below
        try:
            return load_yaml(path).data
        except FileError as error:
            raise ConfigError([str(error)]) from error

    def _plain(self, node: Any, loc: Loc) -> Any:
        """Give the same as plain Python, with what stands for something else put in its place."""
        if isinstance(node, list):
            return [self._plain(item, (*loc, number)) for number, item in enumerate(node)]
        if isinstance(node, dict):
            return {
                new: value
                for key, item in node.items()
                for new, value in [self._entry(str(key), item, (*loc, str(key)))]
            }
        if isinstance(node, str) and _REFERENCE.search(node):
            self._written[loc] = node
            return _REFERENCE.sub(lambda found: self._variable(found[1], loc), node)
        return node

    def _entry(self, key: str, item: Any, loc: Loc) -> tuple[str, Any]:
        name = key.removesuffix("_env")
        if name in SECRETS and name != key:
            self._written[(*loc[:-1], name)] = str(item)
            return name, self._variable(str(item), loc)
        in_file = not any(loc[:length] in self._variables for length in range(1, len(loc)))
        if in_file and key in SECRETS and isinstance(item, str | int | float) and not _REFERENCE.fullmatch(str(item)):
            self._problems.append(
                f"{self._where(loc)}: {_dotted(loc)} stands in the file for all to read; write {key}_env: NAME, "
                "and set NAME in the environment"
            )
        return key, self._plain(item, loc)

    def _variable(self, name: str, loc: Loc) -> str:
        value = self._environ.get(name)
        if not value:
            self._problems.append(
                f"{self._where(loc)}: {_dotted(loc)} needs the environment variable {name}, which is not set; set it"
            )
            return "unset"
        return value

    def _overlay(self, plain: dict[str, Any]) -> None:
        for variable in sorted(self._environ):
            value = self._environ[variable]
            if not variable.startswith(PREFIX) or not value:
                continue
            parts = variable.removeprefix(PREFIX).lower().split("__")
            if len(parts) == 1 and parts[0] not in Settings.model_fields:
                section, _, key = parts[0].partition("_")
                if key in _known_keys((section,)):
                    meant = f"{PREFIX}{section}__{key}".upper()
                    self._problems.append(f"environment {variable}: sets nothing; did you mean {meant}?")
                continue  # MONITOR_CONFIG, and whatever else has our prefix
            node: Any = plain
            for part in parts[:-1]:
                node = node.setdefault(part, {}) if isinstance(node, dict) else {}
                if node is None:
                    break
            if not isinstance(node, dict):
                self._problems.append(
                    f"environment {variable}: there are no keys under that; see docs/configuration.md"
                )
                continue
            self._variables[tuple(parts)] = variable
            parsed = self._parsed(variable, value)
            node[parts[-1]] = self._plain(parsed, tuple(parts)) if isinstance(parsed, list | dict) else parsed

    def _parsed(self, variable: str, value: str) -> Any:
        if value.lstrip()[:1] not in ("[", "{") and value not in ("null", "~"):
            return value
        try:
            return YAML(typ="safe", pure=True).load(value)
        except YAMLError:
            self._problems.append(f"environment {variable}: is no YAML; write a list as [a, b], a mapping as {{a: b}}")
            return value

    def _anchor(self, plain: dict[str, Any]) -> None:
        """Make the paths in the file relative to it; those of the environment stay relative to here."""
        assert self._path is not None  # noqa: S101 -- asked before
        for loc in _PATHS:
            node: Any = plain
            for part in loc[:-1]:
                node = node.get(part) if isinstance(node, dict) else None
            if loc in self._variables or not isinstance(node, dict) or not isinstance(node.get(loc[-1]), str):
                continue
            if loc == _CAUSES and _SHIPPED.fullmatch(node[loc[-1]]):
                continue  # the name of a shipped tree
            node[loc[-1]] = str(self._path.parent / node[loc[-1]])

    def _where(self, loc: Loc) -> str:
        """Name file and line of a value, or the environment variable that it came from."""
        for length in range(len(loc), 0, -1):
            if loc[:length] in self._variables:
                return f"environment {self._variables[loc[:length]]}"
        for place, variable in self._variables.items():
            if place[: len(loc)] == loc and loc and loc[0] not in self._file:
                return f"environment {variable}"
        node: Any = self._file
        line = 0
        for part in loc:
            if isinstance(node, CommentedMap):
                key = part if part in node else f"{part}_env"
                if key not in node:
                    continue
                line, node = node.lc.key(key)[0], node[key]
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                line, node = node.lc.item(part)[0], node[part]
        return f"{self._path}:{line + 1}" if self._path is not None else "configuration"

    def _told(self, error: ErrorDetails) -> str:
        """Say what pydantic refused as `where: what; mend`."""
        loc: Loc = tuple(part for part in error["loc"] if part not in _TAGS)
        where, name, kind = self._where(loc), _dotted(loc) or "the configuration", error["type"]
        known = _known_keys(error["loc"] if kind == "model_type" else error["loc"][:-1])
        match kind:
            case "extra_forbidden":
                near = get_close_matches(str(loc[-1]), known, 1)
                mend = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                return f"{where}: unknown key {name!r}; {mend}"
            case "missing":
                return f"{where}: {name} is missing; add it"
            case "union_tag_not_found":
                return f"{where}: {name}.type is missing; give one of {', '.join(_TAGS)}"
            case "union_tag_invalid":
                return f"{where}: {name}.type is none that we know; give one of {', '.join(_TAGS)}"
            case "value_error":
                problem, _, mend = error["msg"].removeprefix("Value error, ").partition("; ")
            case "string_pattern_mismatch":
                problem = f"is {self._shown(loc, error['input'])}"
                mend = _PATTERNS.get(str(loc[-1]), "use letters, digits, dots, dashes and underscores")
            case "model_type":
                problem = f"is {self._shown(loc, error['input'])}"
                mend = f"write keys below it: {', '.join(known)}"
            case _:
                problem = f"is {self._shown(loc, error['input'])}"
                mend = re.sub(r"^Input should (be |have )?", "give ", error["msg"])
                mend = re.sub("^give (?=greater|less)", "give a number ", mend)
        return f"{where}: {name} {problem}; {mend}"

    def _shown(self, loc: Loc, value: Any) -> str:
        if loc and loc[-1] in SECRETS:
            return "not usable"
        if loc in self._written:
            return repr(self._written[loc])  # what it stands for may be secret
        if isinstance(value, dict | list):
            return "a mapping" if isinstance(value, dict) else "a list"
        if value is None:
            return "empty"
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 -- a line's worth


_TAGS = ("terminal", "webhook", "alertmanager")
_PATTERNS = {"bootstrap": "write host:port, more of them with commas between"}


def _line(problem: str) -> int:
    found = re.match(r"[^\n]*?:(\d+): ", problem)
    return int(found[1]) if found else 0


def _dotted(loc: Loc) -> str:
    """Write a place as a person would.

    >>> _dotted(("recipients", 0, "channels", 1, "url"))
    'recipients[0].channels[1].url'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def _known_keys(loc: Loc) -> list[str]:
    """Give the keys that are known at a place; a channel's type stands in `loc` before its keys."""
    models: list[type[BaseModel]] = [Settings]
    for part in loc:
        if isinstance(part, int):
            continue
        if part in _TAGS:
            models = [model for model in models if part in get_args(model.model_fields["type"].annotation)]
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)]
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models(inner)]
