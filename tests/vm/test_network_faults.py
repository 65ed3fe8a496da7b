"""Networks that cannot be had, and hosts that lack something: told in a line, or done without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import bridges, bundles, leaks
from tests.support.bridges import Bridge, Member
from tests.support.cli import TREE, Programs
from tests.support.commands import Answer

pytestmark = pytest.mark.timeout(900)
NO_TUN = "mount -t tmpfs none /dev/net"
REFUSED = "mount -t tmpfs -o nodev none /dev/net && mknod /dev/net/tun c 10 200"
"""What a control group of devices that forbids it looks like: EACCES instead of its EPERM."""


def _bundle(directory: Path, network: str, script: str = "true") -> Path:
    def change(spec: dict[str, Any]) -> None:
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = network
        for kind in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][kind] = ["CAP_NET_RAW"]

    return bundles.make(directory / "bundle", "sh", "-c", script, change=change)


@pytest.mark.parametrize(
    ("change", "why", "hint"),
    [
        (NO_TUN, "No such file or directory", "load the kernel's module: modprobe tun"),
        (REFUSED, "Permission denied", "allow it where enclos runs: device c 10:200"),
    ],
)
def test_a_host_without_tun(
    programs: Programs, host: Member, tmp_path: Path, change: str, why: str, hint: str
) -> None:
    before, looks = leaks.snapshot(programs.scope), host.netns.run("ip", "-d", "link")
    name = f"no-tun-{os.getpid()}"
    run = programs.oci_command("run", "--bundle", _bundle(tmp_path, host.netns.path), name)
    answer = programs.run(["unshare", "--mount", "sh", "-c", f'{change} && exec "$@"', "sh", *run])
    assert (answer.code, answer.err.count("\n")) == (1, 1), answer.err
    assert f"cannot open /dev/net/tun: {why} ({hint}" in answer.err
    assert not leaks.wait_settled(before, programs.scope)
    assert host.netns.run("ip", "-d", "link") == looks
    assert name not in programs.oci("list").out


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/etc/passwd", "or one that `ip netns add` has made"),
        ("/proc/self/ns/uts", "or one that `ip netns add` has made"),
        ("/dev/null", "or one that `ip netns add` has made"),
        ("/nowhere/ns", "is the container whose namespace it is still running?"),
    ],
)
def test_a_path_that_is_no_network_namespace(
    programs: Programs, tmp_path: Path, path: str, hint: str
) -> None:
    before = leaks.snapshot(programs.scope)
    name = f"no-ns-{os.getpid()}"
    answer = programs.oci("run", "--bundle", _bundle(tmp_path, path), name)
    assert (answer.code, answer.err.count("\n")) == (1, 1), answer.err
    assert path in answer.err
    assert answer.err.endswith(hint + ")\n")
    assert not leaks.wait_settled(before, programs.scope)


def _without_ipv6(programs: Programs, *command: str) -> Answer:
    """Run a command on a host whose kernel has none."""
    words = [sys.executable, "-m", "tests.support.noipv6"]
    path = f"{TREE / 'src'}:{TREE}"
    changed = {**programs.environment, "PYTHONPATH": path}
    done = subprocess.run(
        [*words, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=changed, timeout=240, check=False,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def plain(bridge: Bridge) -> Member:
    """A namespace as on such a host."""
    member = bridge.member(addresses=False)
    member.netns.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    number = next(bridge.numbers)
    member.netns.script(f"""
        ip address add {bridges.NETWORK}.{number}/24 dev eth0
        ip route add default via {bridges.NETWORK}.1
    """)
    return member


LOOK = f"ip address; ping -c 1 -W 10 {bridges.NETWORK}.1"


def test_a_kernel_without_ipv6(programs: Programs, plain: Member, tmp_path: Path) -> None:
    """The guest has none either, and nothing fails."""
    bundle = _bundle(tmp_path, plain.netns.path, LOOK)
    run = programs.oci_command("run", "--bundle", bundle, f"plain-{os.getpid()}")
    answer = _without_ipv6(programs, *run)
    assert (answer.code, answer.err) == (0, ""), answer.out
    assert f"inet {bridges.NETWORK}." in answer.out
    assert "inet6" not in answer.out
    assert "1 packets received" in answer.out


@pytest.mark.nightly
@pytest.mark.parametrize("flags", [("--network=host",), ("-p", "7999:80")])
def test_a_kernel_without_ipv6_and_our_own_networks(
    programs: Programs, plain: Member, flags: tuple[str, ...]
) -> None:
    run = programs.command("run", "--rm", *flags, "enclos/demo", "sh", "-c", LOOK.split(";")[0])
    answer = _without_ipv6(programs, "nsenter", f"--net={plain.netns.path}", *run)
    assert (answer.code, answer.err) == (0, "")
    assert "inet 10." in answer.out
