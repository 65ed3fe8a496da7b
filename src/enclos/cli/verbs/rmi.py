"""`rmi`: remove images, and what of them nobody uses any more."""

from __future__ import annotations

from enclos.cli import fetching, output
from enclos.cli.eachone import each
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.storage import images
from enclos.storage.store import ImageStore


def run(asked: Parsed) -> int:
    """Say, as docker does, what was untagged and what was deleted."""
    home = open_home()
    store = ImageStore(home.data_root)

    def remove(name: str) -> None:
        done = images.remove(store, name, in_use=fetching.in_use(home), force=asked.on("force"))
        output.write("".join(f"Untagged: {tag}\n" for tag in done.untagged))
        output.write("".join(f"Deleted: {digest}\n" for digest in done.deleted))

    return each(asked.operands, remove, quiet=True)
