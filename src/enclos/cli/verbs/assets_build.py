"""`assets build`: tool root, guest kernel and initrd from Debian packages."""

from __future__ import annotations

from enclos.assets import build
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.cli.progress import progress
from enclos.tools.mmdebstrap import Archive


def run(asked: Parsed) -> int:
    """Progress goes to stderr; what is printed is where the assets are."""
    from enclos.cli import output

    home = open_home()
    archive = Archive(mirror=asked.text("mirror") or home.settings.debian_mirror)
    with progress(quiet=asked.on("quiet")) as shown:
        assets = build.build(home.data_root, report=shown.line, archive=archive)
    output.write(f"{assets.path}\n")
    return 0
