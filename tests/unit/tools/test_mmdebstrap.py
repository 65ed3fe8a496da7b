"""The argument list of mmdebstrap."""

from __future__ import annotations

from pathlib import Path

import pytest

from enclos.errors import HostUnfit
from enclos.tools import mmdebstrap


def test_signatures_are_checked_against_the_keyring() -> None:
    archive = mmdebstrap.Archive(mirror="http://mirror/debian", keyring=Path("/k.gpg"))
    argv = mmdebstrap.arguments(Path("/t"), archive, ["a", "b"])
    assert argv[0] == "mmdebstrap"
    assert "--include=a,b" in argv
    assert argv[-5:-3] == ["trixie", "/t"]
    assert argv[-3:] == [
        "deb [signed-by=/k.gpg] http://mirror/debian trixie main",
        "deb [signed-by=/k.gpg] http://mirror/debian trixie-updates main",
        "deb [signed-by=/k.gpg] http://deb.debian.org/debian-security trixie-security main",
    ]


def test_a_missing_keyring_is_refused(tmp_path: Path) -> None:
    archive = mmdebstrap.Archive(keyring=tmp_path / "none.gpg")
    with pytest.raises(HostUnfit, match=r"no keyring .*none\.gpg"):
        mmdebstrap.extract(tmp_path / "t", archive, packages=["a"], report=print)
