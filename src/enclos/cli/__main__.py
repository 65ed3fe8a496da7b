"""`python -m enclos.cli` is the program `enclos`."""

from __future__ import annotations

import sys

from enclos.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
