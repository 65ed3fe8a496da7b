"""`enclos-oci`: reads the command line, runs the verb's module, tells errors as engines expect.

Imports next to nothing itself; each verb's module imports what it needs.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from enclos.errors import EnclosError, of_system
from enclos.ocicli import parse, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

FAILED: Final = 1
"""runc's exit code for its own errors."""
EXEC_FAILED: Final = 255
"""The same for an `exec` whose command line was in order."""


def main() -> NoReturn:
    """Run the program on `sys.argv` and end with its exit code.

    At once, for what verbs write is not buffered: taking the interpreter apart costs 3 ms and
    frees nothing that the kernel does not.
    """
    os._exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Do what the command line says; the exit code."""
    failed = FAILED
    try:
        call = parse.parse(words)
        if call.help:
            return _help(call)
        if call.verb is None:
            return _version()
        failed = EXEC_FAILED if call.verb.name == "exec" else FAILED
        code: int = import_module(call.verb.module).run(call)
        return code
    except (EnclosError, OSError) as error:
        where = parse.partial_globals(words)
        told = of_system(error) if isinstance(error, OSError) else error
        report.report(told, log=where.text("log"), log_format=where.text("log-format", "text"))
        return failed


def _help(call: parse.Invocation) -> int:
    from enclos.ocicli import help as pages

    text = pages.overview() if call.verb is None else pages.of_verb(call.verb)
    report.answer(text)
    return 0


def _version() -> int:
    from enclos.ocicli import version

    report.answer(version.text())
    return 0
