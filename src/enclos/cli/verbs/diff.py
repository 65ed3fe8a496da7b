"""`diff`: what a container has changed in its root file system."""

from __future__ import annotations

from typing import Final

from enclos.cli import belongings, lookup, output
from enclos.cli.home import open_home
from enclos.cli.output import Columns
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest
from enclos.storage import changes
from enclos.storage.rootfs import LayeredRoot

_COLUMNS: Final = Columns(headings={"Kind": "KIND", "Path": "PATH"}, shown=("Kind", "Path"))


def run(asked: Parsed) -> int:
    """One line for each path, with docker's letters."""
    home = open_home()
    definition = lookup.find(home, asked.operands[0]).defined()
    root = belongings.root_of(home, definition)
    if not isinstance(root, LayeredRoot):
        raise InvalidRequest(
            f"container {definition.name} runs in a directory of yours, in place",
            hint="compare it by your own means",
        )
    spec = belongings.spec_of(home, definition.id)
    ignored = {mount.destination for mount in spec.mounts}
    found = changes.changes(root, ignored=ignored)
    how = asked.text("format", "{{.Kind}} {{.Path}}")
    listed = [{"Kind": str(change.kind), "Path": change.path} for change in found]
    output.listing(listed, _COLUMNS, how)
    return 0
