"""QEMU and virtiofsd as they run: what they may do and what they see (decisions 2 and 4)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from enclos.hypervisor.qemu.process import UID
from enclos.linux import capabilities
from enclos.state import ledger
from enclos.state.store import StateRoot
from enclos.tools.virtiofsd import CAPABILITIES
from tests.support.cli import Programs

OF_THE_HOST = ("home", "root", "work", "boot", "var", "srv", "opt")
FILTERED = "2"
"""SECCOMP_MODE_FILTER in /proc/PID/status."""


@pytest.fixture(scope="module")
def helpers(programs: Programs) -> Iterator[dict[str, int]]:
    """Pids of a running sandbox's helpers by name."""
    made = programs.ok("run", "-d", "enclos/demo", "sleep", "1000").strip()
    held = ledger.of_sandbox(StateRoot(programs.state_root).sandbox(made)).entries()
    yield {str(entry.fields["name"]): int(entry.fields["pid"]) for entry in held}
    programs.ok("rm", "-f", made)


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status by name."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def test_qemu_is_nobody_in_particular(helpers: dict[str, int]) -> None:
    found = status(helpers["qemu"])
    assert found["Uid"].split() == found["Gid"].split() == [str(UID)] * 4
    assert {found[f"Cap{kind}"].strip("0") for kind in ("Prm", "Eff", "Inh", "Bnd", "Amb")} == {""}


def test_virtiofsd_has_exactly_what_a_file_server_needs(helpers: dict[str, int]) -> None:
    found = status(helpers["virtiofsd"])
    assert capabilities.names(int(found["CapEff"], 16)) == CAPABILITIES
    assert capabilities.names(int(found["CapPrm"], 16)) == CAPABILITIES
    assert int(found["CapBnd"], 16) == 0


@pytest.mark.parametrize("name", ["qemu", "virtiofsd"])
def test_both_are_filtered_and_cannot_gain_rights(helpers: dict[str, int], name: str) -> None:
    found = status(helpers[name])
    assert found["Seccomp"] == FILTERED
    assert found["NoNewPrivs"] == "1"


@pytest.mark.parametrize("name", ["qemu", "virtiofsd"])
def test_both_see_the_tool_root_and_no_host(helpers: dict[str, int], name: str) -> None:
    seen = os.listdir(f"/proc/{helpers[name]}/root")
    assert "usr" in seen
    assert not set(seen) & set(OF_THE_HOST)
    assert os.statvfs(f"/proc/{helpers[name]}/root").f_flag & os.ST_RDONLY
    for kind in ("mnt", "pid", "net", "ipc", "uts"):
        ours, theirs = (os.stat(f"/proc/{who}/ns/{kind}") for who in ("self", helpers[name]))
        assert ours.st_ino != theirs.st_ino


def test_virtiofsd_sees_the_share_and_qemu_does_not(helpers: dict[str, int]) -> None:
    assert os.listdir(f"/proc/{helpers['virtiofsd']}/root/share")
    assert os.listdir(f"/proc/{helpers['qemu']}/root/share") == []
