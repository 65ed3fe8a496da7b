"""mmdebstrap: unpacks Debian packages into a directory, with apt checking the archive's signatures.

Nothing is configured or run there (`--variant=extract`). The downloaded packages stay in the
tree's apt cache for the caller to look at. Works since mmdebstrap 1.3 (Debian 12), as root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from enclos.errors import HostUnfit, MachineFailed
from enclos.linux import process
from enclos.structs import dataclass

PROGRAM: Final = "mmdebstrap"
CACHE: Final = "var/cache/apt/archives"
"""Where the packages lie in the tree afterwards."""
_STEP: Final = "I: "


@dataclass(frozen=True, slots=True)
class Archive:
    """Where packages come from, and whose signature they must bear."""

    mirror: str = "http://deb.debian.org/debian"
    security_mirror: str = "http://deb.debian.org/debian-security"
    suite: str = "trixie"
    keyring: Path = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

    def sources(self) -> tuple[str, ...]:
        """The lines of a sources.list."""
        signed = f"deb [signed-by={self.keyring}]"
        return (
            f"{signed} {self.mirror} {self.suite} main",
            f"{signed} {self.mirror} {self.suite}-updates main",
            f"{signed} {self.security_mirror} {self.suite}-security main",
        )


def extract(
    target: Path, archive: Archive, *, packages: Iterable[str], report: Callable[[str], None]
) -> None:
    """Unpack `packages` and what they depend on into the new directory `target`.

    Temporary files lie beside it, to be removed with it by whoever ends before they are.
    `report` is told each step. Raises `HostUnfit` if the program, the keyring or the network is
    missing, or a signature bad.
    """
    if not archive.keyring.is_file():
        raise HostUnfit(
            f"there is no keyring {archive.keyring}",
            hint="run: apt-get install debian-archive-keyring",
        )
    try:
        program, *words = arguments(target, archive, packages)
        beside = ["env", f"TMPDIR={target.parent}", process.find(program)]
        for line in process.lines([*beside, *words]):
            if line.startswith(_STEP) and line.endswith("..."):
                report(line.removeprefix(_STEP))
    except MachineFailed as error:
        raise HostUnfit(
            f"mmdebstrap could not unpack Debian {archive.suite} from {archive.mirror}",
            hint="check the network and the mirror, then try again",
            detail=error.detail,
        ) from error


def arguments(target: Path, archive: Archive, packages: Iterable[str]) -> list[str]:
    """The argument list, program first."""
    return [
        PROGRAM,
        "--variant=extract",
        "--mode=root",
        "--format=directory",
        "--skip=cleanup/apt",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(packages)}",
        archive.suite,
        str(target),
        *archive.sources(),
    ]
