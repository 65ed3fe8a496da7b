"""Writes docs/man from the tables of verbs and settings and the hand-written parts.

    manpages.py            write the pages
    manpages.py --check    write nothing, exit 1 if a page is not what would be written

Each `docs/man/NAME.in` is roff with one line `@TABLE@` where the table's part belongs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from enclos.cli import grammar as ours
    from enclos.ocicli import grammar as runcs

    Flag: TypeAlias = ours.Flag | runcs.Flag
    Verb: TypeAlias = ours.Verb | runcs.Verb

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ROOT / "docs" / "man"
MARK: Final = "@TABLE@"
NOTE: Final = '.\\" Written by packaging/manpages.py from {} and the tables: edit those.\n'

if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))


def pages() -> dict[Path, str]:
    """Every page by its path, as it should be."""
    return {PAGES / name: _page(name, table) for name, table in _TABLES.items()}


def escape(text: str) -> str:
    """`text` as roff prints it: dashes stay dashes, dots do not begin a request,
    letters beyond ASCII are named."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    safe = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in safe)
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe


def _page(name: str, table: Callable[[], Iterable[str]]) -> str:
    from enclos.version import VERSION

    source = PAGES / f"{name}.in"
    text = source.read_text().replace("@VERSION@", VERSION)
    head, mark, tail = text.partition(f"{MARK}\n")
    if not mark:
        raise SystemExit(f"{source} has no line {MARK}")
    return NOTE.format(source.name) + head + "".join(f"{line}\n" for line in table()) + tail


def _verbs_of_enclos() -> Iterator[str]:
    from enclos.cli.table import GLOBAL, VERBS

    yield ".SS Options before the command"
    yield from _options(GLOBAL)
    for verb in VERBS:
        yield from _verb(verb)
        for example in verb.examples:
            yield from (".PP", ".EX", escape(example), ".EE")


def _verbs_of_enclos_oci() -> Iterator[str]:
    from enclos.ocicli.table import GLOBAL, VERBS

    yield ".SS Options before the command"
    yield from _options(flag for flag in GLOBAL if not flag.ignored)
    for verb in VERBS:
        yield from _verb(verb)
        if verb.refused:
            yield escape(_sentence(f"Refused: {verb.refused}"))


def _verb(verb: Verb) -> Iterator[str]:
    yield f".SS {escape(verb.usage)}"
    yield escape(_sentence(verb.summary))
    if verb.about:
        yield ".PP"
        yield from (escape(line) or ".PP" for line in verb.about.strip().splitlines())
    yield from _options(verb.flags)


def _options(flags: Iterable[Flag]) -> Iterator[str]:
    for flag in flags:
        refused = getattr(flag, "refused", "")
        yield ".TP"
        yield f".B {escape(flag.spelling.strip())}"
        yield escape(_sentence(f"Refused: {refused}" if refused else flag.help))
        if flag.choices:
            yield escape(f"One of {', '.join(flag.choices)}.")


def _calls_of_the_shim() -> Iterator[str]:
    from enclos.shim.parse import SWITCHES, TEXTS, VERBS

    for verb, does in VERBS.items():
        yield from (".TP", f".B {escape(verb)}", escape(_sentence(does)))
    yield ".SH OPTIONS"
    named = {f"-{name} {name.upper()}": about for name, about in TEXTS.items()}
    named |= {f"-{name}": about for name, about in SWITCHES.items()}
    for flag, about in named.items():
        yield from (".TP", f".B {escape(flag)}", escape(_sentence(about)))


def _settings() -> Iterator[str]:
    from enclos.config.settings import rows

    for row in rows():
        yield ".TP"
        yield f".B {escape(row.name)}"
        yield escape(_sentence(row.help))
        yield f"Written as {escape(row.kind.value)}."
        yield f"Default: {escape(_written(row.default))}."
        yield f"Variable: \\fB{escape(row.variable)}\\fR."


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or "empty"


def _sentence(text: str) -> str:
    first = text.split(" ", 1)[0]
    whole = text if "." in first else text[:1].upper() + text[1:]
    return whole if whole.endswith((".", ":", ")")) else f"{whole}."


_TABLES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "enclos.1": _verbs_of_enclos,
    "enclos-oci.8": _verbs_of_enclos_oci,
    "containerd-shim-enclos-v2.8": _calls_of_the_shim,
    "enclos-config.5": _settings,
}


def main(arguments: list[str]) -> int:
    """The exit status."""
    wrong = [path for path, text in pages().items() if not _is(path, text)]
    if "--check" in arguments:
        print(*(f"{path} is not what the tables say" for path in wrong), sep="\n")
        return 1 if wrong else 0
    for path in wrong:
        path.write_text(pages()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
