"""sd_notify(3) under podman: what the container says reaches the manager of podman's unit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.notices import SAY, manager
from tests.support.podman import IMAGE, Podman, wait_until


@pytest.mark.parametrize("mode", ["container", "conmon"])
def test_the_manager_hears_that_it_is_ready(
    podman: Podman, runc: Podman, tmp_path: Path, mode: str
) -> None:
    """From the program itself, or from podman once it runs."""
    program = ("/usr/bin/python3", "-ISc", SAY) if mode == "container" else ("sleep", "1000")
    flags = (
        "--network=none", f"--sdnotify={mode}",
        *(f"--volume=/{name}:/{name}:ro" for name in ("usr", "lib", "lib64")),
    )  # fmt: skip
    found: list[list[str]] = []
    for one in (podman, runc):
        path = tmp_path / one.runtime
        told = replace(one, program=("env", f"NOTIFY_SOCKET={path}", *one.program))
        with manager(path) as heard:
            made = told.ok("run", "-d", *flags, IMAGE, *program)
            try:
                wait_until(lambda: any(b"READY=1" in message for message in heard))
            finally:
                one.run("rm", "--force", "--time=0", made)
        found.append(sorted({re.sub(r"\d{2,}", "N", message.decode()) for message in heard}))
    assert found[0] == found[1]
