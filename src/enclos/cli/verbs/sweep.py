"""`sweep`: release what crashed sandboxes and interrupted commands have left behind."""

from __future__ import annotations

from enclos.cli import fetching, lookup, output, removal
from enclos.cli.home import Home, open_home
from enclos.cli.parse import Parsed
from enclos.sandbox import sweep
from enclos.state import definitions
from enclos.storage import garbage
from enclos.storage.store import ImageStore


def run(asked: Parsed) -> int:
    """A line for everything that was done; none if there was nothing to do."""
    home = open_home()
    done = sweep.sweep(home.root)
    done += [f"removed {name}, which was never completed"
             for name in definitions.purge_abandoned(home.data_root)]  # fmt: skip
    done += _remove_ended(home)
    _collect_images(home)
    if not asked.on("quiet"):
        output.write("".join(f"{line}\n" for line in done))
    return 0


def _remove_ended(home: Home) -> list[str]:
    """Containers of `--rm` that have ended while whoever was to remove them was killed."""
    done: list[str] = []
    for container in lookup.everything(home):
        definition = container.definition
        if definition is not None and definition.auto_remove and container.status == "exited":
            removal.drop(home, container.id)
            done.append(f"removed {definition.name}, which had ended")
    return done


def _collect_images(home: Home) -> None:
    """Blobs and layers that interrupted pulls left and nobody names."""
    garbage.collect(ImageStore(home.data_root), in_use=fetching.in_use(home))
