"""`images`: list the images of this host's store."""

from __future__ import annotations

import time
from typing import Final

from enclos.cli import output, wording
from enclos.cli.home import open_home
from enclos.cli.output import Columns
from enclos.cli.parse import Parsed
from enclos.storage import images
from enclos.storage.images import Row
from enclos.storage.references import familiar
from enclos.storage.store import ImageStore

_HEADINGS: Final = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "CreatedAt": "CREATED AT",
    "Architecture": "ARCHITECTURE",
    "Name": "NAME",
}
_PLAIN: Final = Columns(_HEADINGS, ("Repository", "Tag", "ID", "CreatedSince", "Size"))
_DIGESTS: Final = Columns(_HEADINGS, ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"))


def run(asked: Parsed) -> int:
    """Newest first; with a name, only that repository."""
    found = images.list_images(ImageStore(open_home().data_root))
    if asked.operands:
        found = tuple(row for row in found if _named(row, asked.operands[0]))
    truncate = not asked.on("no-trunc")
    if asked.on("quiet"):
        ids = dict.fromkeys(_id(row, truncate=truncate) for row in found)
        output.write("".join(f"{one}\n" for one in ids))
        return 0
    columns = _DIGESTS if asked.on("digests") else _PLAIN
    listed = [_fields(row, truncate=truncate) for row in found]
    output.listing(listed, columns, asked.text("format"))
    return 0


def _named(row: Row, wanted: str) -> bool:
    repository, _, tag = wanted.partition(":")
    names = (row.repository, row.name, familiar(row.repository))
    return wanted in names or (familiar(repository) in names and tag in {"", row.tag})


def _id(row: Row, *, truncate: bool) -> str:
    return row.image_id.removeprefix("sha256:")[:12] if truncate else row.image_id


def _fields(row: Row, *, truncate: bool) -> dict[str, object]:
    return {
        "Repository": row.repository,
        "Tag": row.tag,
        "Digest": row.digest,
        "ID": _id(row, truncate=truncate),
        "CreatedSince": f"{wording.since(row.created, time.time_ns())} ago" if row.created else "",
        "Size": wording.decimal_size(row.size_bytes),
        "CreatedAt": wording.shown_stamp(row.created),
        "Architecture": row.architecture,
        "Name": row.name,
    }
