"""Doors to the assets: build them, or have them whole and of this code.

Part of every start, so it imports what builds only when something has to be built.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos.assets import agent, store, verify
from enclos.errors import HostUnfit

if TYPE_CHECKING:
    from enclos.tools.mmdebstrap import Archive

Report = Callable[[str], None]

_BUILD: Final = "run: enclos assets build"


def build(data_root: Path, *, report: Report, archive: Archive | None = None) -> store.Assets:
    """Fetch the packages, build everything and put it in force.

    Raises `HostUnfit` if the host cannot; the assets in force before stay so.
    """
    from enclos.assets import making
    from enclos.tools import mmdebstrap

    return making.from_packages(data_root, archive or mmdebstrap.Archive(), report=report)


def ensure(
    data_root: Path, *, allow_build: bool, report: Report, archive: Archive | None = None
) -> store.Assets:
    """Assets that are whole and whose agent is this code's.

    The initrd is made again, without the network, when only it is damaged or of other code.
    What needs the packages again is built if `allow_build`, else refused by `HostUnfit`.
    """
    try:
        assets = store.load(data_root)
    except HostUnfit:
        if not allow_build:
            raise
        return build(data_root, report=report, archive=archive)
    damaged = verify.quick(assets)
    if not damaged and is_current(assets):
        return assets
    if any(not name.startswith(f"{assets.key}/") for name in damaged):
        if not allow_build:
            raise HostUnfit(f"damaged assets: {', '.join(damaged[:5])}", hint=_BUILD)
        return build(data_root, report=report, archive=archive)
    return _refreshed(data_root, report)


def is_current(assets: store.Assets) -> bool:
    """Whether the agent in the assets is the one this code would build."""
    try:
        return agent.version(assets.manifest.agent_files) == assets.agent_version
    except OSError:
        return False  # a file of the old agent is gone: the new one is another


def _refreshed(data_root: Path, report: Report) -> store.Assets:
    from enclos.assets import making

    return making.from_part(data_root, wanted=_is_good, report=report)


def _is_good(assets: store.Assets) -> bool:
    return not verify.quick(assets) and is_current(assets)
