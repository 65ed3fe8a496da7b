"""What the tests of `enclos setup` have in common."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PROGRAMS = ("enclos", "enclos-oci", "containerd-shim-enclos-v2")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where our programs are installed, the first of which runs."""
    for name in PROGRAMS:
        (tmp_path / name).write_text("#!/bin/true\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "enclos")])
    return tmp_path
