"""Rule files: YAML in, a `RuleSet` out, or every problem with its line and the mend."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from importlib.resources import as_file, files
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from monitor.escalation.language import Condition, LanguageError, compile_condition
from monitor.escalation.names import BY_NAME, GROUPS
from monitor.escalation.rules import Layer, Rule, RuleSet, Schedule, default_rules, overlaid
from monitor.escalation.types import KINDS, SEVERITIES
from monitor.escalation.wording import figures
from monitor.mention.yamlfile import FileError, Section, load
from monitor.mention.yamlvalues import Problems, days_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from monitor.brand.tree import BrandTree

KEYS = (
    *("name", "when", "still", "severity", "hold", "reason", "route", "action", "schedule", "brands", "kind"),
    *("shadow", "off"),
)
TOP = ("rules", "define", "zone", "shipped", "version")
SHIPPED_VERSION = "default-3"
STORY_REASON = "{people} in {lasting}, {times}; {outlook}; {complaining}{about}"
WAVE_REASON = "{wave}, from {people}{about}"
BUDGET_REASON = "{budget}"
UMBRELLA_REASON = "{together}"
ANY_REASON = "{people} in {lasting}; {complaining}{about}"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}
LONGEST_HOLD_S = 7 * 86_400.0


class RuleFileError(ValueError):
    """A rule file that is refused. `problems` are lines of `file:line: what is wrong; what to do`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def shipped() -> RuleSet:
    """Read the rules that come with the product: see `default_rules`."""
    with as_file(files("monitor.escalation") / "default.yaml") as path:
        return _File(load(path), None, None, base=None).rule_set(version=SHIPPED_VERSION)


def shipped_definitions() -> dict[str, str]:
    """Return the definitions of the shipped rules, which a file of one's own can use."""
    with as_file(files("monitor.escalation") / "default.yaml") as path:
        return _File(load(path), None, None, base=None).definitions


def load_rules(
    path: Path | str | None, tree: BrandTree | None = None, routes: Collection[str] | None = None
) -> RuleSet:
    """Read a rule file; None gives the shipped rules.

    Args:
        path: the file.
        tree: to check the brands it names, and for what lies below them; None takes any brand's name.
        routes: the names of routes that there are; None takes any.

    Raises:
        RuleFileError: with every problem found.
    """
    if path is None:
        return default_rules()
    try:
        top = load(path)
        top.only(TOP)
        base = default_rules() if top.flag("shipped", default=True) else None
    except FileError as error:
        raise RuleFileError([str(error)]) from error
    return _File(top, tree, routes, base=base).rule_set()


class _Entry(NamedTuple):
    """An entry of the file, where it stands, and for which brands it counts (none: for all)."""

    section: Section
    layer: Layer
    brands: tuple[str, ...]


class _File:
    """A rule file under its reader; problems are collected, so that a person mends them in one go."""

    def __init__(
        self, top: Section, tree: BrandTree | None, routes: Collection[str] | None, *, base: RuleSet | None
    ) -> None:
        self._top, self._tree, self._routes, self._base = top, tree, routes, base
        self._problems = Problems()
        self._zone = "UTC"
        self._problems.attempt(self._read_zone)
        self.definitions: dict[str, str] = shipped_definitions() if base is not None else {}
        self._define()

    def rule_set(self, version: str | None = None) -> RuleSet:
        """Return the rules.

        Raises:
            RuleFileError: with every problem found.
        """
        sections: list[Section] = []
        self._problems.attempt(lambda: sections.extend(self._top.sections("rules")))
        read = [(section, self._problems.attempt(partial(self._layer, section))) for section in sections]
        entries = [_Entry(section, *found) for section, found in read if found is not None]
        self._once(entries)
        live = {rule.name: rule for rule in (self._base.rules if self._base else ())}
        shadows: dict[str, Rule] = {rule.name: rule for rule in (self._base.shadows if self._base else ())}
        fresh: dict[str, Rule] = {}
        for entry in entries:
            if not entry.brands:
                self._everywhere(entry, live, shadows, shadows if entry.layer.shadow else fresh)
        live = fresh | live  # one's own come first: of one severity the first gives the reason and the route
        layers: dict[str, list[Layer]] = {}
        for entry in sorted(entries, key=lambda one: self._depth(one.brands)):
            for brand in entry.brands:
                self._at_brand(entry, brand, live, layers)
        if self._problems:
            raise RuleFileError(self._problems.lines)
        return RuleSet(
            tuple(live.values()),
            version or self._version(),
            shadows=tuple(shadows.values()),
            layers={brand: tuple(each) for brand, each in layers.items()},
            ancestors={node.id: self._tree.ancestors(node.id) for node in self._tree.nodes} if self._tree else {},
        )

    def _once(self, entries: list[_Entry]) -> None:
        """Refuse two entries that say something of one rule for one brand."""
        seen: dict[tuple[str, str, bool], int] = {}
        for section, layer, brands in entries:
            for brand in brands or ("",):
                mark = (layer.name, brand, layer.shadow)
                if mark in seen:
                    said = f"the rule {layer.name!r}{f' for {brand}' if brand else ''} stands twice"
                    self._problems.note(section, "name", f"{said} (before: line {seen[mark]})", "keep one of them")
                seen[mark] = section.line("name")

    def _everywhere(
        self, entry: _Entry, live: dict[str, Rule], shadows: dict[str, Rule], fresh: dict[str, Rule]
    ) -> None:
        """Take in an entry that counts for every brand."""
        section, layer, _ = entry
        target = shadows if layer.shadow else live
        if layer.off:
            if target.pop(layer.name, None) is None:
                self._missing(section, layer.name, live)
            return
        base = target.get(layer.name) or live.get(layer.name) or shadows.get(layer.name)
        made = self._overlaid(section, base, layer)
        if not layer.shadow:
            shadows.pop(layer.name, None)  # a shipped shadow that is made live
        if made is not None and layer.name in target:
            target[layer.name] = made
        elif made is not None:
            fresh[layer.name] = made

    def _at_brand(self, entry: _Entry, brand: str, live: dict[str, Rule], layers: dict[str, list[Layer]]) -> None:
        """Take in an entry for one brand and all below it."""
        section, layer, _ = entry
        above = self._above(layer.name, brand, live, layers)
        if layer.off and above is None:
            self._missing(section, layer.name, live)
        elif layer.off or self._overlaid(section, above, layer) is not None:
            layers.setdefault(brand, []).append(layer)

    def _version(self) -> str:
        label = str(self._top.data.get("version") or "rules")[:40]
        content = msgspec.json.encode([_plain(self._top.data), self._base.version if self._base else ""])
        return f"{label}-{blake2b(content, digest_size=4).hexdigest()}"

    # -- parts

    def _read_zone(self) -> None:
        self._zone = zone_of(self._top) or "UTC"

    def _define(self) -> None:
        section = self._problems.attempt(lambda: self._top.section("define"))
        if section is None:
            return
        given = {name: self._problems.attempt(lambda name=name: section.needed(name)) for name in section.data}
        self.definitions |= {name: text for name, text in given.items() if text is not None}
        for name, text in given.items():
            if not _WORD.fullmatch(name) or name in BY_NAME or name in GROUPS:
                self._problems.note(
                    section, name, f"{name!r} cannot be defined", "use another name: a-z, 0-9 and _, none that is known"
                )
            elif text is not None:
                self._problems.attempt(lambda name=name, text=text: self._compile(section, name, text, self._zone))

    def _layer(self, section: Section) -> tuple[Layer, tuple[str, ...]]:
        section.only(KEYS)
        name = section.needed("name")
        if not _NAME.fullmatch(name) or name == "calm":
            raise section.error("name", f"the name {name!r} will not do", "use a-z, 0-9 and -, 64 at most")
        brands = tuple(self._brand(section, brand, line) for brand, line in section.texts("brands"))
        shadow = section.flag("shadow", default=False)
        if section.flag("off", default=False):
            return Layer(name=name, fields={}, off=True, shadow=shadow), brands
        return Layer(name=name, fields=self._fields(section), shadow=shadow), brands

    def _fields(self, section: Section) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        schedule = section.section("schedule")
        zone = self._zone
        if schedule is not None:
            fields["schedule"] = _schedule(schedule, zone)
            zone = fields["schedule"].zone
        when, still = section.text("when"), section.text("still")
        if when is not None:
            fields["condition"] = self._compile(section, "when", when, zone)
            fields["still"] = None
        if still is not None:
            fields["still"] = self._compile(section, "still", still, zone)
        if section.text("severity") is not None:
            fields["severity"] = _choice(section, "severity", SEVERITIES)
        if "hold" in section:
            fields["hold_s"] = _span(section, "hold")
        if section.text("action") is not None:
            fields["action"] = _choice(section, "action", ("open", "lower", "close"))
        if (route := section.text("route")) is not None:
            fields["route"] = self._route(section, route)
        if when is not None or section.text("kind") is not None:
            fields["kinds"] = _kinds(section, [one for one in (fields.get("condition"), fields.get("still")) if one])
        if (reason := section.text("reason")) is not None:
            fields["reason"] = _reason(section, reason)
        return fields

    def _overlaid(self, section: Section, base: Rule | None, layer: Layer) -> Rule | None:
        """Return the complete rule; note what is missing of one that stands alone."""
        fields = dict(layer.fields)
        if base is None:
            if "condition" not in fields:
                self._missing(
                    section, layer.name, {rule.name: rule for rule in (self._base.rules if self._base else ())}
                )
                return None
            if "severity" not in fields:
                if fields.get("action") != "close":
                    self._problems.note(
                        section,
                        None,
                        f"the rule {layer.name!r} has no severity",
                        f"add `severity:` and one of {', '.join(SEVERITIES)}",
                    )
                    return None
                fields["severity"] = "info"
            reasons = {
                ("story",): STORY_REASON,
                ("wave",): WAVE_REASON,
                ("budget",): BUDGET_REASON,
                ("umbrella",): UMBRELLA_REASON,
            }
            fields.setdefault("reason", reasons.get(fields["kinds"], ANY_REASON))
            layer.fields.update(fields)  # type: ignore[attr-defined]  # made here, not shared yet
        return overlaid(base, layer)

    def _above(self, name: str, brand: str, live: Mapping[str, Rule], layers: Mapping[str, list[Layer]]) -> Rule | None:
        """Return the rule of a name as it counts just above a brand (or at it, by an entry before)."""
        rule = live.get(name)
        chain = (brand, *(self._tree.ancestors(brand) if self._tree else ()))
        for one in reversed(chain):
            for layer in layers.get(one, ()):
                if layer.name == name and not layer.shadow:
                    rule = None if layer.off else overlaid(rule, layer)
        return rule

    def _depth(self, brands: tuple[str, ...]) -> int:
        return max((len(self._tree.ancestors(brand)) for brand in brands), default=0) if self._tree else 0

    def _brand(self, section: Section, brand: str, line: int) -> str:
        if self._tree is None or any(node.id == brand for node in self._tree.nodes):
            return brand
        near = get_close_matches(brand, [node.id for node in self._tree.nodes], 1)
        mend = f"did you mean {near[0]!r}?" if near else "give ids of the brand file"
        raise FileError(section.path, line, f"the brand file has no brand {brand!r}", mend)

    def _route(self, section: Section, route: str) -> str:
        if self._routes is not None and route not in self._routes:
            near = get_close_matches(route, self._routes, 1)
            known = ", ".join(sorted(self._routes)) or "none has a name"
            raise section.error(
                "route",
                f"no route is called {route!r}",
                f"did you mean {near[0]!r}?" if near else f"give one of: {known}",
            )
        return route

    def _compile(self, section: Section, key: str, text: str, zone: str) -> Condition:
        try:
            return compile_condition(text, self.definitions, zone)
        except LanguageError as error:
            raise section.error(key, f"`{key}` {error.problem}", error.mend) from error

    def _missing(self, section: Section, name: str, known: Mapping[str, Rule]) -> None:
        near = get_close_matches(name, known, 1)
        mend = (
            f"did you mean {near[0]!r}? Else give it `when:` and `severity:`" if near else "add `when:` and a condition"
        )
        self._problems.note(section, "name", f"there is no rule {name!r} above this one to change", mend)


def _choice(section: Section, key: str, known: Iterable[str]) -> str:
    value, options = section.needed(key), list(known)
    if value not in options:
        near = get_close_matches(value, options, 1)
        raise section.error(
            key, f"{key!r} is {value!r}", f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(options)}"
        )
    return value


def span(text: str) -> float | None:
    """Return a duration in seconds; None if it is none.

    >>> span("90s"), span("10m"), span("2 h"), span("1d"), span("soon")
    (90.0, 600.0, 7200.0, 86400.0, None)
    """
    found = _SPAN.fullmatch(text.strip())
    return float(found[1]) * _UNITS[found[2]] if found else None


def _span(section: Section, key: str) -> float:
    value = section.data[key]
    seconds = None if isinstance(value, bool) else span(str(value))
    if seconds is None or seconds > LONGEST_HOLD_S:
        raise section.error(key, f"{key!r} is {str(value)!r}", "write 90s, 10m or 2h; a week at most")
    return seconds


_MANY = {"story": "stories", "wave": "waves", "budget": "budgets", "umbrella": "umbrellas"}


def _kinds(section: Section, conditions: list[Condition]) -> tuple[str, ...]:
    own = {"spread": "story", "wave": "wave", "budget": "budget", "together": "umbrella"}
    told: dict[str, str] = {}
    for name in sorted(name for condition in conditions for name in condition.reads):
        kind = "story" if name == "story.reach" else own.get(name.partition(".")[0])
        if kind is not None:
            told.setdefault(kind, name)
    if len(told) > 1:
        said = ", and ".join(f"{name!r}, which only {_MANY[kind]} have" for kind, name in told.items())
        raise section.error("when", f"reads {said}", "split it into two rules")
    inferred = next(iter(told), "story")
    given = _choice(section, "kind", (*KINDS, "both")) if section.text("kind") is not None else inferred
    if told and given != inferred:
        raise section.error(
            "kind", f"is {given!r}, but the condition reads {told[inferred]!r}", f"write `kind: {inferred}`"
        )
    return ("story", "wave") if given == "both" else (given,)


def _reason(section: Section, reason: str) -> str:
    from monitor.escalation.example import example_view  # noqa: PLC0415 -- not needed to judge

    known = figures(example_view())
    try:
        fields = [
            (name, spec, conversion) for _, name, spec, conversion in Formatter().parse(reason) if name is not None
        ]
    except ValueError as error:
        raise section.error(
            "reason", f"`reason` is no template ({error})", "write a brace that is meant as {{ or }}"
        ) from error
    for name, spec, conversion in fields:
        if name not in known or spec or conversion:
            raise section.error(
                "reason", f"`reason` names {{{name}}}, which is not known", f"known: {', '.join(known)}"
            )
    return reason


def _schedule(section: Section, zone: str) -> Schedule:
    section.only(["days", "from", "to", "zone"])
    start_at, end_at = _minute(section, "from", 0), _minute(section, "to", 24 * 60)
    if start_at == end_at:
        raise section.error("to", "begins and ends at the same time", "leave both out for the whole day")
    return Schedule(
        days=days_of(section),
        start=start_at,
        end=end_at,
        zone=zone_of(section) or zone,
    )


def _minute(section: Section, key: str, default: int) -> int:
    text = section.text(key)
    if text is None:
        return default
    found = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", text)
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minute <= 24 * 60:
        raise section.error(key, f"{key!r} is {text!r}", 'write a time of day in quotes, as in "08:30"')
    return minute


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node if isinstance(node, str | int | float | bool | None) else str(node)
