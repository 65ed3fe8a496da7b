"""`inspect`: everything about containers or images, as a JSON array."""

from __future__ import annotations

from typing import Any

from enclos.cli import complain, describe, lookup, output
from enclos.cli.home import Home, open_home
from enclos.cli.parse import Parsed
from enclos.errors import EnclosError, InvalidRequest, NotFound
from enclos.storage import images
from enclos.storage.store import ImageStore


def run(asked: Parsed) -> int:
    """What is not found is complained about; the rest is shown."""
    home = open_home()
    status = 0
    found: list[dict[str, Any]] = []
    for name in asked.operands:
        try:
            found.append(_find(home, name, asked.text("type")))
        except EnclosError as error:
            status = complain.complain(error)
    output.inspected(found, asked.text("format"))
    return status


def _find(home: Home, name: str, kind: str) -> dict[str, Any]:
    try:
        if kind in {"", "container"}:
            return describe.container(home, lookup.find(home, name))
    except NotFound:
        if kind:
            raise
    store = ImageStore(home.data_root)
    try:
        return describe.image(store, images.find(store, name))
    except (NotFound, InvalidRequest) as error:
        what = "image" if kind else "container or image"
        raise NotFound(
            f"no such {what}: {name[:200]}", hint="see: enclos ps --all, enclos images"
        ) from error
