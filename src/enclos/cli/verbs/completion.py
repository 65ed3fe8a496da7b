"""`completion`: a script for a shell."""

from __future__ import annotations

from enclos.cli import output, shells
from enclos.cli.parse import Parsed


def run(asked: Parsed) -> int:
    """Print the script for the shell that is named."""
    output.write(shells.SCRIPTS[asked.operands[0]]())
    return 0
