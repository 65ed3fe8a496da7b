"""OCI bundles for tests: a busybox root file system and runc's default spec, changed as needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enclos.oci import default
from enclos.oci.load import dump_spec

APPLETS = ("sh", "cat", "echo", "sleep", "id", "ls", "true", "false", "uname", "head", "dd", "env",
           "kill", "ip", "nc", "ping", "ps", "stty", "tty", "hostname",
           "mount", "touch", "seq", "wc")  # fmt: skip


def busybox() -> Path:
    """The host's static busybox; skips if there is none."""
    found = shutil.which("busybox")
    if found is None:
        import pytest  # the benchmark, which makes images as well, runs without it

        pytest.skip("busybox is missing: apt-get install busybox-static")
    return Path(found)


def make(
    directory: Path, *args: str, change: Callable[[dict[str, Any]], None] | None = None
) -> Path:
    """A bundle in `directory` whose process is `args`; `change` edits its config.json."""
    root = directory / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox(), root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    spec: dict[str, Any] = json.loads(dump_spec(default.default_spec()))
    spec["process"].update(args=list(args), terminal=False, cwd="/")
    spec["root"] = {"path": "rootfs", "readonly": False}
    if change is not None:
        change(spec)
    (directory / "config.json").write_text(json.dumps(spec))
    os.chmod(root, 0o755)
    return directory
