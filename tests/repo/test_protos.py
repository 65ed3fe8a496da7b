"""The shim's message classes are what the compiler makes of the .proto files in the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.repo import tree

PROTOS = Path("enclos/shim/proto")


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    script = tree.ROOT / "packaging/protos.sh"
    done = subprocess.run(
        [script, tmp_path],
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text() for path in (tmp_path / PROTOS).iterdir()}
    kept = {path.name: path.read_text() for path in (tree.SOURCE / PROTOS).glob("*_pb2.py*")}
    assert made == kept, "run packaging/protos.sh"
