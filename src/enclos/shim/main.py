"""`containerd-shim-enclos-v2`: reads the command line, runs `start`, `delete`, `-info` or `-v`.

What a verb prints is read by containerd, so nothing else goes to standard output; an error is
one line on standard error.
"""

from __future__ import annotations

import sys
from importlib import import_module

from enclos.errors import EnclosError, InvalidRequest
from enclos.shim import parse
from enclos.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

PROGRAM: Final = "containerd-shim-enclos-v2"
FAILED: Final = 1


def main() -> NoReturn:
    """Run the program on `sys.argv` and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Do what the command line says; the exit code."""
    try:
        call = parse.parse(words)
        if "v" in call.switches:
            sys.stdout.write(f"{PROGRAM}:\n  Version:  {VERSION}\n")
            return 0
        code: int = import_module(f"enclos.shim.{_module(call)}").run(call)
        return code
    except EnclosError as error:
        hint = f" ({error.hint})" if error.hint else ""
        tail = f"\n{error.detail.rstrip()}" if error.detail else ""
        sys.stderr.write(f"enclos: {error.message}{hint}{tail}\n")
        return FAILED


def _module(call: parse.Invocation) -> str:
    if "info" in call.switches:
        return "info"
    if not call.verb:
        raise InvalidRequest(
            f"{PROGRAM} is started by containerd",
            hint="run: enclos setup containerd, then ctr run --runtime io.containerd.enclos.v2",
        )
    return call.verb
