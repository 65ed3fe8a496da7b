"""Starts with a network, again and again: nothing of any of them stays."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import bridges, bundles, leaks
from tests.support.bridges import Bridge, Member
from tests.support.cli import Programs
from tests.support.netns import Netns

LOOKS = (
    "ip link", "ip address", "ip route show table all", "ip rule", "tc qdisc show",
    "tc filter show dev eth0 ingress", "nft list ruleset",
)  # fmt: skip
STARTS = 200
AT_ONCE = 2


@pytest.fixture(scope="module")
def members(bridge: Bridge) -> list[Member]:
    return [bridge.member() for _ in range(AT_ONCE)]


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_two_hundred_starts_on_a_bridge(
    programs: Programs, bridge: Bridge, members: list[Member], tmp_path: Path
) -> None:
    _start(programs, members[0], tmp_path, 0)
    before, host, looks = leaks.snapshot(programs.scope), _looks(bridge.host), _all(members)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        work = [pool.submit(_starts, programs, one, tmp_path) for one in members]
        for done in work:
            done.result()
    assert not leaks.wait_settled(before, programs.scope, timeout_s=60)
    assert _all(members) == looks
    assert _looks(bridge.host) == host


def _starts(programs: Programs, member: Member, directory: Path) -> None:
    for number in range(1, STARTS // AT_ONCE + 1):
        _start(programs, member, directory, number)


def _start(programs: Programs, member: Member, directory: Path, number: int) -> None:
    def change(spec: dict[str, Any]) -> None:
        for namespace in spec["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = member.netns.path

    label = f"{member.netns.descriptor}-{number}"
    script = f"ip route | grep -q 'default via {bridges.NETWORK}.1' && ip address show eth0"
    bundle = bundles.make(directory / label, "sh", "-c", script, change=change)
    out = programs.oci("run", "--bundle", bundle, f"start-{os.getpid()}-{label}")
    assert out.code == 0, out.err
    assert f"inet {member.ip['eth0']}/24" in out.out
    subprocess.run(["rm", "-rf", directory / label], check=True)


def _all(members: list[Member]) -> list[dict[str, str]]:
    return [_looks(member.netns) for member in members]


def _looks(netns: Netns) -> dict[str, str]:
    return {words: netns.run(*words.split(), check=False) for words in LOOKS}
