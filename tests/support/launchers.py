"""Our programs as files that engines can be given, with settings that no environment carries."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from tests.support.cli import TREE


def write(path: Path, room: str, settings: Mapping[str, str]) -> None:
    """A program that is not taken in by an empty environment, as an installed one is not.

    It runs with any Debian's own Python, on this host and in a root of its own.
    """
    places = [os.fspath(TREE / "src"), sysconfig.get_path("purelib")]
    lines = (
        "#!/usr/bin/python3 -ISXutf8",
        "import os, sys",
        f"os.environ.update({dict(settings)!r})",
        f"sys.path += {places!r}",
        f"from enclos.{room}.main import main",
        "sys.exit(main())",
    )
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
