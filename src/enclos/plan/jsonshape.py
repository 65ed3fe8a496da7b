"""Values of foreign JSON by shape, for readers that must not trust it. PURE.

Each function answers `None` for a value of another shape.
"""

from __future__ import annotations

from typing import cast


def as_object(value: object) -> dict[str, object] | None:
    """`value` if it is an object; JSON's members always have text for a name."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """`value` if it is a list."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """`value` if it is a string."""
    return value if isinstance(value, str) else None


def as_size(value: object) -> int | None:
    """`value` if it is an integer of zero or more."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    return number if number >= 0 else None
