"""The version of Enclos, in one place: packaging, `--version` and the manual pages read it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VERSION: Final = "0.1.0"
