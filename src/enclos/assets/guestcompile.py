"""Compiles source files to byte code that is never compared with its source.

Run as a script by the guest's Python, so it imports nothing of Enclos. Standard input has
one line per file: source, name recorded in the code, output, optimisation level, by tabs.
"""

import py_compile
import sys
from collections.abc import Iterable


def main(lines: Iterable[str]) -> None:
    """Compile each line's file; a syntax error ends the program with a message."""
    for line in lines:
        source, recorded, output, level = line.rstrip("\n").split("\t")
        py_compile.compile(
            source,
            cfile=output,
            dfile=recorded,
            doraise=True,
            optimize=int(level),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    main(sys.stdin)
