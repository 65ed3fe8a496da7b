"""What containerd waits for in vain imports little: `start` of a pod's next container, and `delete`
of one of which nothing is left.

Run as installed, isolated and without site, in a bundle as containerd makes one.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from enclos.shim import address, parse, where
from enclos.shim.proto import task_pb2
from tests.repo import tree

PYTHON: Final = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
START: Final = "from enclos.shim.main import main; main()"
HEAVY: Final = ("asyncio", "google", "subprocess", "enclos.sandbox", "enclos.oci", "enclos.wire")
SANDBOX: Final = "io.kubernetes.cri.sandbox-id"


@pytest.fixture
def bundle() -> Iterator[Path]:
    """That of a pod's second container. A socket's path has to be short."""
    with tempfile.TemporaryDirectory(prefix="enclos", dir="/run") as place:
        yield _made(Path(place) / "member")


def _made(made: Path) -> Path:
    (made / "rootfs").mkdir(parents=True)
    (made / "config.json").write_text(json.dumps({"annotations": {SANDBOX: "pod"}}))
    return made


def _words(bundle: Path, verb: str) -> list[str]:
    flags = ["-namespace", "ns", "-address", "/run/c.sock", "-id", bundle.name]
    return [*flags, "-bundle", os.fspath(bundle), verb]


def _run(bundle: Path, verb: str) -> tuple[bytes, set[str]]:
    """What it prints, and the modules it imports."""
    code = f"import sys; sys.path.append({str(tree.SOURCE)!r}); {START}"
    done = subprocess.run(
        [PYTHON, "-ISXutf8", "-Ximporttime", "-c", code, *_words(bundle, verb)],
        cwd=bundle,
        capture_output=True,
        timeout=60,
        check=True,
        env={"ENCLOS_STATE_ROOT": os.fspath(bundle.parent / "state")},
    )
    lines = done.stderr.decode().splitlines()
    return done.stdout, {line.rpartition("|")[2].strip() for line in lines}


def _heavy(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if name.startswith(HEAVY))


def test_start_where_a_shim_serves_the_pod(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCLOS_STATE_ROOT", os.fspath(bundle.parent / "state"))
    path = where.socket_path(parse.parse(_words(bundle, "start")), "pod")
    listener = address.claim(path)
    assert isinstance(listener, socket.socket)
    with listener:
        said, modules = _run(bundle, "start")
    assert said.decode() == f"unix://{path}"
    assert address.published(bundle) == path
    assert not _heavy(modules)


def test_delete_where_nothing_is_left(bundle: Path) -> None:
    said, modules = _run(bundle, "delete")
    assert task_pb2.DeleteResponse.FromString(said).exit_status == 137
    assert not _heavy(modules)
    assert not modules & {"json", "socket", "pathlib", "dataclasses"}


def test_what_creates_imports_no_loop() -> None:
    """A supervisor does, while QEMU starts."""
    code = f"import sys; sys.path.append({str(tree.SOURCE)!r}); import enclos.shim.begin"
    done = subprocess.run(
        [PYTHON, "-ISXutf8", "-Ximporttime", "-c", code],
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    modules = {line.rpartition("|")[2].strip() for line in lines}
    assert "enclos.sandbox.create" in modules
    assert not [name for name in modules if name.startswith(("asyncio", "google", "qemu"))]
