"""`pull`: fetch images, whether or not they are here."""

from __future__ import annotations

from enclos.cli import output
from enclos.cli.eachone import each
from enclos.cli.fetching import collected_if_refused, demo_layout
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.cli.progress import progress
from enclos.storage import images, layers
from enclos.storage.progress import Report
from enclos.storage.store import ImageStore


def run(asked: Parsed) -> int:
    """Print the full name of each image."""
    home = open_home()
    store = ImageStore(home.data_root)

    def pull(name: str) -> None:
        with collected_if_refused(home), progress(quiet=asked.on("quiet")) as shown:
            report = Report(shown.line, shown.terminal_fd)
            image = images.pull(store, name, demo_layout=demo_layout(home), report=report)
            layers.ensure(store, image, report=report)
        output.write(f"{image.name}\n")

    return each(asked.operands, pull, quiet=True)
