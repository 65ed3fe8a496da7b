"""Prints which standard library files the modules named on the command line bring in.

Run as a script by the guest's Python, so it imports nothing of Enclos, nor anything that
would show up in the list itself. One line per file: module name, tab, path.
"""

import sys


def main(names: list[str]) -> None:
    """Import `names` and print every module that came from a file."""
    for name in names:
        __import__(name)
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and name != "__main__":
            sys.stdout.write(f"{name}\t{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
