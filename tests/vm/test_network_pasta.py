"""A namespace as rootless podman has it: pasta makes its interface and carries what goes by it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import bridges, bundles, netns, waiting
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs
from tests.support.netns import Netns

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def inner(host: Member, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netns]:
    """What pasta connects to the host by its sockets."""
    program = shutil.which("pasta")
    if program is None:
        pytest.skip("pasta is missing: apt-get install passt")
    place = tmp_path_factory.mktemp("pasta")
    with netns.new() as made:
        name = place / "ns"
        name.touch()
        subprocess.run(["mount", "--bind", made.path, name], check=True)
        try:
            words = [program, "--config-net", "--foreground", "--quiet", "--runas", "0",
                     "--no-map-gw", "-t", "none", "-u", "none", "--netns", str(name)]  # fmt: skip
            inside = ["nsenter", f"--net={host.netns.path}"]
            with subprocess.Popen([*inside, *words], stdin=subprocess.DEVNULL) as process:
                try:
                    waiting.until(lambda: "default" in made.run("ip", "route"))
                    yield made
                finally:
                    process.terminate()
        finally:
            subprocess.run(["umount", name], check=True)


def test_the_guest_reaches_out_by_pasta(
    programs: Programs, bridge: Bridge, host: Member, inner: Netns, tmp_path: Path
) -> None:
    def change(spec: dict[str, Any]) -> None:
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = inner.path

    busybox, gateway = bundles.busybox(), f"{bridges.NETWORK}.1"
    script = f"ip address show eth0; sleep 1; (echo x; sleep 1) | nc -w 10 {gateway} 7100"
    bundle = bundles.make(tmp_path / "bundle", "sh", "-c", script, change=change)
    inside = f"nsenter --net={bridge.host.path}"
    # One end closes after the other: Debian 12's pasta loses the end of one connection in ten or so
    # (no guest in it) whose ends close at once, and there nobody ever hears of it.
    answers = f"{busybox} nc -l -p 7100 -e sh -c 'read x; echo by pasta; read y'"
    listen = f"timeout 120 {inside} {answers}"
    with subprocess.Popen(["sh", "-c", listen]):
        answer = programs.oci("run", "--bundle", bundle, f"pasta-{os.getpid()}")
    assert answer.code == 0, answer.err
    assert f"inet {host.ip['eth0']}/24" in answer.out
    assert answer.out.endswith("by pasta\n")
