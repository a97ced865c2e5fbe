"""Conditions in CEL (the Common Expression Language): compiled once, with typed names, and refused with a mend.

A condition is rewritten before it is compiled: named definitions are put in, `story.authors` becomes one variable
(only what is read is handed over), `2` becomes `2.0` (CEL does not mix whole and decimal numbers), and what is divided
by goes through `nonzero` (CEL's decimals would divide by zero and go on). Regular expressions are matched in time
linear in the text; there are no loops but over lists that stand in the condition itself.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from monitor.escalation.engine import cel
from monitor.escalation.names import BY_NAME, GROUPS
from monitor.escalation.types import ConditionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.escalation.types import StoryView

MOST = 4000
"""Characters of a condition, definitions put in."""

DEEPEST = 40
TURNS = 96
"""Made-up views that a condition is tried on before it is taken."""

FUNCTIONS = frozenset({"size", "string", "double", "min", "max", "abs"})
METHODS = frozenset({"startsWith", "endsWith", "contains", "matches"})
MACROS = frozenset({"exists", "all", "exists_one", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    | (?P<text>[rR]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<number>\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]])""",
    re.VERBOSE,
)


class LanguageError(ValueError):
    """A condition that is refused: what is wrong, and the mend."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem}; {mend}")
        self.problem, self.mend = problem, mend


class Condition(Struct, frozen=True, eq=False):
    """A compiled condition. `reads` are the names that it needs, `zone` the time zone of `hour` and `weekday`."""

    source: str
    reads: frozenset[str]
    zone: str
    program: Any

    def __call__(self, sight: Sight, /) -> bool:
        """Return whether it holds.

        Raises:
            ConditionError: it cannot be evaluated on this view: a division by zero, a name that is absent.
        """
        try:
            answer = self.program.execute(sight.context)
        except Exception as error:  # the library raises whatever fits
            raise ConditionError(f"{type(error).__name__}: {str(error)[:200]}") from error
        if answer is True or answer is False:
            return bool(answer)
        raise ConditionError("gives neither true nor false")


class Sight:
    """Hands views to conditions: one context, filled anew for each view with the names that the conditions read.

    Not for several threads at once.
    """

    def __init__(self, conditions: list[Condition]) -> None:
        needs = {(name, condition.zone) for condition in conditions for name in condition.reads}
        self._fields = [(_flat(name, zone), BY_NAME[name].get, ZoneInfo(zone)) for name, zone in sorted(needs)]
        self.context = cel.Context(functions=dict(_OURS))
        self.view: StoryView | None = None
        self._now = 0.0

    def show(self, view: StoryView, now: float) -> Sight:
        """Fill in a view's values at `now` (seconds since the epoch)."""
        if view is self.view and now == self._now:
            return self  # shadows are shown what the live rules were
        add = self.context.add_variable
        for flat, get, zone in self._fields:
            add(flat, get(view, now, zone))
        self.view, self._now = view, now
        return self


def compile_condition(source: str, definitions: Mapping[str, str] | None = None, zone: str = "UTC") -> Condition:
    """Compile a condition.

    >>> from monitor.escalation.example import example_view
    >>> condition = compile_condition("story.authors > 30 && cause.startsWith('cancelled')")
    >>> sorted(condition.reads)
    ['cause', 'story.authors']
    >>> condition(Sight([condition]).show(example_view(), 0.0))
    True

    Raises:
        LanguageError: it is no CEL, names what is not there, mixes types, or gives neither true nor false.
    """
    tokens = _expand(_tokens(source), definitions or {}, ())
    plain = "".join(text for _, text in tokens)
    if len(plain) > MOST:
        raise LanguageError(f"is longer than {MOST} characters", "split it into several rules")
    if _depth(tokens) > DEEPEST:
        raise LanguageError(f"nests deeper than {DEEPEST} parentheses", "split it into several rules")
    try:
        cel.compile(plain)
    except ValueError as error:
        said = re.search(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
        what = f"is no CEL: {said[3]} (at its line {said[1]}, column {said[2]})" if said else "is no CEL"
        raise LanguageError(what, "see the language in docs/escalation.md") from error
    rewritten, reads = _rewrite(_mark_bound(tokens), zone)
    try:
        condition = Condition(source, frozenset(reads), zone, cel.compile(rewritten))
    except ValueError as error:
        raise LanguageError("is CEL that is not known here", "write it more simply: see docs/escalation.md") from error
    _try_out(condition, tokens)
    return condition


def words(source: str) -> set[str]:
    """Return the plain words in a condition: to find which definitions it uses."""
    return {text for kind, text in _tokens(source) if kind == "word"}


Token = tuple[str, str]


def _tokens(source: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            line = source.count("\n", 0, at) + 1
            raise LanguageError(f"has {source[at]!r} in its line {line}, which is no CEL", "take it out")
        kind = str(found.lastgroup)
        tokens.append((kind, " " if kind == "space" else found[0]))
        at = found.end()
    return tokens


def _expand(tokens: list[Token], definitions: Mapping[str, str], inside: tuple[str, ...]) -> list[Token]:
    """Put definitions in the place of their names, in parentheses."""
    out: list[Token] = []
    for number, (kind, text) in enumerate(tokens):
        after_dot = number > 0 and tokens[number - 1][1] == "."
        if kind != "word" or text not in definitions or after_dot:
            out.append((kind, text))
            continue
        if text in inside:
            raise LanguageError(f"{text!r} is defined by itself ({' > '.join((*inside, text))})", "break the circle")
        inner = _expand(_tokens(definitions[text]), definitions, (*inside, text))
        out += [("sign", "("), *inner, ("sign", ")")]
        if len(out) > MOST:
            raise LanguageError(f"is longer than {MOST} characters", "split it into several rules")
    return out


def _depth(tokens: list[Token]) -> int:
    deep = deepest = 0
    for _, text in tokens:
        deep += (text in "([") - (text in ")]") if len(text) == 1 else 0
        deepest = max(deepest, deep)
    return deepest


def _rewrite(tokens: list[Token], zone: str) -> tuple[str, set[str]]:  # noqa: C901 -- one case per kind of token
    """Return the condition as it is compiled, and the names that it reads."""
    plain = [token for token in tokens if token[0] != "space"]
    out: list[str] = []
    reads: set[str] = set()
    at = 0
    while at < len(plain):
        kind, text = plain[at]
        before = plain[at - 1][1] if at else ""
        following = plain[at + 1][1] if at + 1 < len(plain) else ""
        if kind == "number":
            index = before == "[" and at > 1 and (plain[at - 2][0] == "word" or plain[at - 2][1] in {")", "]"})
            whole = text.isdigit() and not index
            out.append(f"{text}.0" if whole else text)
        elif kind == "word" and before == ".":
            if text not in METHODS | MACROS:
                raise LanguageError(f"calls .{text}", f"known: {', '.join(sorted(METHODS | MACROS))}")
            out.append(text)
        elif kind == "word" and text not in _WORDS:
            name = text
            if following == "." and text in GROUPS and at + 2 < len(plain):
                name, at = f"{text}.{plain[at + 2][1]}", at + 2
            if following == "(":
                _known_function(name)
                out.append("length" if name == "size" else name)
            elif name in BY_NAME:
                reads.add(name)
                flat = _flat(name, zone)
                out.append(f"double({flat})" if BY_NAME[name].whole else flat)
            else:
                raise _unknown(f"{name}.{plain[at + 2][1]}" if name == text and following == "." else name)
        elif text == "%":
            raise LanguageError("has %, and decimal numbers have no remainder", "compare with the numbers themselves")
        elif text == "/":
            end = _operand(plain, at + 1)
            inner, more = _rewrite(plain[at + 1 : end], zone)
            reads |= more
            out.append(f"/ nonzero({inner})")
            at = end - 1
        else:
            out.append(text)
        at += 1
    return " ".join(out), reads


def _mark_bound(tokens: list[Token]) -> list[Token]:
    """Mark the variables that macros bring: the `x` of `[...].exists(x, ...)`."""
    plain = [text for kind, text in tokens if kind != "space"]
    bound = {
        plain[at + 2]
        for at in range(1, len(plain) - 2)
        if plain[at] in MACROS and plain[at - 1] == "." and plain[at + 1] == "("
    }
    return [("bound" if kind == "word" and text in bound else kind, text) for kind, text in tokens]


def _operand(tokens: list[Token], at: int) -> int:
    """Return where the operand that begins at `at` ends: signs, a value, and what hangs on it."""
    while at < len(tokens) and tokens[at][1] in {"-", "!"}:
        at += 1
    if at < len(tokens) and tokens[at][1] in {"(", "["}:
        at = _closing(tokens, at)
    at += 1
    while at < len(tokens):
        if tokens[at][1] == ".":
            at += 2
        elif tokens[at][1] in {"(", "["}:
            at = _closing(tokens, at) + 1
        else:
            break
    return at


def _closing(tokens: list[Token], at: int) -> int:
    deep = 0
    for place in range(at, len(tokens)):
        deep += (tokens[place][1] in {"(", "["}) - (tokens[place][1] in {")", "]"})
        if not deep:
            return place
    return len(tokens) - 1


def _known_function(name: str) -> None:
    if name in FUNCTIONS:
        return
    near = get_close_matches(name, FUNCTIONS, 1, 0.75)
    raise LanguageError(
        f"calls {name}()", f"did you mean {near[0]}()?" if near else f"known: {', '.join(sorted(FUNCTIONS))}"
    )


def _unknown(name: str) -> LanguageError:
    pool = [*BY_NAME, *(known.partition(".")[2] for known in BY_NAME if "." in known)]
    near = get_close_matches(name, pool, 1) or get_close_matches(name.rpartition(".")[2], pool, 1)
    if near:
        meant = near[0] if near[0] in BY_NAME else next(full for full in BY_NAME if full.endswith(f".{near[0]}"))
        return LanguageError(f"names {name!r}, which is not known", f"did you mean {meant!r}?")
    return LanguageError(f"names {name!r}, which is not known", "see the names in docs/escalation.md")


def _flat(name: str, zone: str) -> str:
    flat = name.replace(".", "__")
    return f"{flat}__{re.sub(r'[^A-Za-z0-9]', '_', zone)}" if name in {"hour", "weekday"} else flat


def _nonzero(value: float) -> float:
    if value == 0:
        raise ZeroDivisionError("division by zero")
    return value


def _length(value: str | list[Any]) -> float:
    return float(len(value))


_OURS: dict[str, Any] = {"nonzero": _nonzero, "length": _length, "min": min, "max": max, "abs": abs}


def _try_out(condition: Condition, tokens: list[Token]) -> None:
    """Evaluate on made-up values, so that mixed types are found before the night in which they matter.

    What is hidden behind `&&` and `||` comes to light too: numbers are taken from around those in the condition.
    """
    numbers = sorted({float(text) + step for kind, text in tokens if kind == "number" for step in (-1, 0, 1)})[:12]
    texts = [text.strip("rR'\"") for kind, text in tokens if kind == "text"][:6]
    pools: dict[str, list[Any]] = {
        "number": [*(numbers or [0.5]), 1.0, 1e6, -1e6],
        "text": [*texts, "x"],
        "yes or no": [True, False],
    }
    names = sorted(condition.reads)
    dice = Random(0)  # noqa: S311 -- seeded, no secret: the same file is refused for the same reason every time
    context = cel.Context(functions=dict(_OURS))
    worst: Exception | None = None
    answers: set[type] = set()
    for _ in range(TURNS):
        for name in names:
            value = dice.choice(pools[BY_NAME[name].type])
            context.add_variable(_flat(name, condition.zone), int(value) if BY_NAME[name].whole else value)
        try:
            answers.add(type(condition.program.execute(context)))
        except (ZeroDivisionError, IndexError, OverflowError):
            continue
        except Exception as error:  # noqa: BLE001 -- the library raises whatever fits
            if "division by zero" not in str(error):
                worst = error
    if isinstance(worst, TypeError):
        mend = "compare numbers with numbers and texts with texts: see the types of the names in docs/escalation.md"
        raise LanguageError("mixes types", mend) from worst
    if worst is not None:
        raise LanguageError(f"cannot be evaluated ({' '.join(str(worst).split())[:120]})", "correct it") from worst
    if answers - {bool}:
        found = " or ".join(sorted(_PLAIN.get(one, one.__name__) for one in answers - {bool}))
        raise LanguageError(f"gives {found}, not true or false", "compare it with something")


_PLAIN: dict[type, str] = {float: "a number", int: "a number", str: "a text", list: "a list", type(None): "nothing"}
