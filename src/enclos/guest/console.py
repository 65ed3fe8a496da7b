"""The machine's console: the only place where the agent can speak when nobody asks."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line on the serial console, which the host keeps the end of."""
    sys.stderr.write(f"enclos: {text}\n")
    sys.stderr.flush()
