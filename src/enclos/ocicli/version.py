"""`--version`, in the lines that engines read: the word "version" stands in the first only."""

from __future__ import annotations

from enclos.version import SPEC, VERSION


def text() -> str:
    """Name and version, then the specification's."""
    return f"enclos-oci version {VERSION}\nspec: {SPEC}\n"
