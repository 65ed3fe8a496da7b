"""`assets verify`: every file of the assets against its checksum."""

from __future__ import annotations

from enclos.assets import build, store, verify
from enclos.cli import complain, output
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import HostUnfit


def run(asked: Parsed) -> int:
    """Names of damaged files on stdout, and status 1; else how many were looked at."""
    assets = store.load(open_home().data_root)
    damaged = verify.verify(assets)
    if damaged:
        output.write("".join(f"{name}\n" for name in damaged))
        complain.complain(
            HostUnfit(f"{len(damaged)} files of the assets are damaged or gone",
                      hint="run: enclos assets build"))  # fmt: skip
        return 1
    if not build.is_current(assets):
        raise HostUnfit(
            "the assets hold the agent of another version of this program",
            hint="they are brought up to date at the next start, or by: enclos assets build",
        )
    if not asked.on("quiet"):
        complain.say(f"assets {assets.key[:12]}: every file is as it was built")
    return 0
