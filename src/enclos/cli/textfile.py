"""Small files that flags name."""

from __future__ import annotations

from typing import Final

from enclos.errors import InvalidRequest
from enclos.linux import files
from enclos.plan.runoptions import TextFile

_MAX_BYTES: Final = 8 << 20


def read(path: str) -> TextFile:
    """A file that a flag names; raises `InvalidRequest` if it cannot be read as text."""
    try:
        return TextFile(path, files.read_bounded(path, _MAX_BYTES).decode())
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}", hint="check the path") from (
            error
        )
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not text in UTF-8") from error
