"""The part of Go's templates that people give to docker's --format. PURE.

Text with actions between double braces: fields (`.Names`, `.State.Status`), `json`, `index`,
`join`, `upper`, `lower`, `len`, `println` of fields and string literals, pipelines of them,
`if`/`else`/`end` and `range`/`end`. Anything else is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from enclos.errors import InvalidRequest
from enclos.structs import dataclass

_ACTION = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|([^\s|()]+)|([|()]))')
_HINT: Final = "templates know fields, json, index, join, if, range; or use --format json"


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    nodes: tuple[Node, ...]

    def render(self, value: object) -> str:
        """The text for one value; raises `InvalidRequest` for a field that is not there."""
        return "".join(_render(node, value) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Node:
    """Text, or an action: its words, and the nodes inside a block."""

    text: str = ""
    keyword: str = ""
    words: tuple[tuple[str, ...], ...] = ()
    inside: tuple[Node, ...] = ()
    otherwise: tuple[Node, ...] = ()


def parse(text: str) -> Template:
    """The template that `text` spells; raises `InvalidRequest`."""
    if text.count("{{") != text.count("}}"):
        raise InvalidRequest(f"template {text[:100]!r} has unbalanced braces", hint=_HINT)
    nodes, _, end = _parse(_pieces(text), 0)
    if end:
        raise InvalidRequest(f"template has {end!r} without a block", hint=_HINT)
    return Template(nodes)


def _pieces(text: str) -> list[tuple[bool, str]]:
    """(is an action, its text) in order."""
    found: list[tuple[bool, str]] = []
    at, trim = 0, False
    for match in _ACTION.finditer(text):
        plain = text[at : match.start()]
        plain = plain.lstrip() if trim else plain
        found.append((False, plain.rstrip() if match[1] else plain))
        found.append((True, match[2].strip()))
        at, trim = match.end(), bool(match[3])
    rest = text[at:]
    found.append((False, rest.lstrip() if trim else rest))
    return found


def _parse(pieces: Sequence[tuple[bool, str]], at: int) -> tuple[tuple[Node, ...], int, str]:
    """Nodes up to the end of the block, where it ended, and the word that ended it."""
    nodes: list[Node] = []
    while at < len(pieces):
        action, text = pieces[at]
        at += 1
        keyword, _, rest = text.partition(" ")
        if not action:
            nodes.append(Node(text=text))
        elif text in {"end", "else"}:
            return tuple(nodes), at, text
        elif keyword in {"if", "range"}:
            inside, at, end = _parse(pieces, at)
            otherwise: tuple[Node, ...] = ()
            if end == "else":
                otherwise, at, end = _parse(pieces, at)
            if end != "end":
                raise InvalidRequest(f"template block {text!r} has no end", hint=_HINT)
            nodes.append(Node(keyword=keyword, words=_pipeline(rest), inside=inside,
                              otherwise=otherwise))  # fmt: skip
        else:
            nodes.append(Node(keyword="print", words=_pipeline(text)))
    return tuple(nodes), at, ""


def _pipeline(text: str) -> tuple[tuple[str, ...], ...]:
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match[3] in {"(", ")"}:
            raise InvalidRequest(f"template action {text[:80]!r} is not known", hint=_HINT)
        if match[3] == "|":
            commands.append([])
        else:
            commands[-1].append(match[1] or match[2])
        at = match.end()
    if not all(commands):
        raise InvalidRequest("template has an empty action", hint=_HINT)
    for words in commands:
        if not words[0].startswith((".", '"', "`")) and words[0] not in _FUNCTIONS:
            raise InvalidRequest(f"template function {words[0][:40]!r} is not known", hint=_HINT)
    return tuple(tuple(words) for words in commands)


def _render(node: Node, value: object) -> str:
    if not node.keyword:
        return node.text
    found = _evaluate(node.words, value)
    if node.keyword == "print":
        return _shown(found)
    if node.keyword == "if":
        chosen = node.inside if found else node.otherwise
        return "".join(_render(inner, value) for inner in chosen)
    items = _items(found)
    if not items:
        return "".join(_render(inner, value) for inner in node.otherwise)
    return "".join(_render(inner, item) for item in items for inner in node.inside)


def _evaluate(commands: Sequence[Sequence[str]], value: object) -> object:
    result: list[object] = []
    for words in commands:
        head = words[0]
        if head in _FUNCTIONS:
            arguments = [_operand(word, value) for word in words[1:]] + result
            try:
                result = [_FUNCTIONS[head](*arguments)]
            except (TypeError, KeyError, IndexError) as error:
                raise InvalidRequest(
                    f"template: {' '.join(words)[:80]!r} cannot be applied", hint=_HINT
                ) from error
        elif len(words) == 1 and not result:
            result = [_operand(head, value)]
        else:
            raise InvalidRequest(f"template: {' '.join(words)[:80]!r} is no action", hint=_HINT)
    return result[0]


def _operand(word: str, value: object) -> object:
    if word.startswith('"'):
        return json.loads(word)
    if word.startswith("`"):
        return word[1:-1]
    if word.lstrip("-").isdecimal():
        return int(word)
    if not word.startswith("."):
        raise InvalidRequest(f"template word {word[:40]!r} is not known", hint=_HINT)
    for name in filter(None, word.split(".")):
        value = _field(value, name)
    return value


def _field(value: object, name: str) -> object:
    if not isinstance(value, Mapping) or name not in value:
        known = ", ".join(sorted(map(str, cast("Mapping[str, Any]", value)))) if isinstance(
            value, Mapping
        ) else "none"  # fmt: skip
        raise InvalidRequest(f"template: there is no field {name[:40]!r}",
                             hint=f"there are: {known}")  # fmt: skip
    return cast("Mapping[str, object]", value)[name]


def _items(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, object]", value).values())
    return list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else []


def _shown(value: object) -> str:
    """As Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return "map[" + " ".join(f"{key}:{_shown(item)}" for key, item in sorted(pairs)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_shown, cast("Sequence[object]", value))) + "]"
    return "<no value>" if value is None else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def _index(value: Any, *keys: Any) -> object:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]  # pyright: ignore
    return cast("object", value)


def _join(items: Any, separator: str) -> str:
    return separator.join(map(_shown, items))


def _upper(text: object) -> str:
    return str(text).upper()


def _lower(text: object) -> str:
    return str(text).lower()


_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "json": _json,
    "index": _index,
    "join": _join,
    "upper": _upper,
    "lower": _lower,
    "len": len,
    "println": lambda *values: " ".join(map(_shown, values)) + "\n",
    "print": lambda *values: " ".join(map(_shown, values)),
}
