"""The version of Enclos and of what it implements, in one place for all who tell it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VERSION: Final = "0.1.0"
SPEC: Final = "1.2.1"
"""The runtime specification."""
