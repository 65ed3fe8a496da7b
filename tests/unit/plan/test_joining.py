"""Joined namespaces: one machine, and paths in the guest that hold no pid."""

from __future__ import annotations

import pytest

from enclos.errors import InvalidRequest
from enclos.plan.grouping import Group
from enclos.plan.joining import Owner, group_with, guest_paths

ALONE = Group("c", own=True)
X = Owner("x", "machine")


@pytest.mark.parametrize(
    ("group", "owners", "wanted"),
    [
        (ALONE, {}, ALONE),
        (ALONE, {"ipc": X}, Group("machine", own=False)),
        (ALONE, {"ipc": X, "pid": Owner("y", "machine")}, Group("machine", own=False)),
        (Group("machine", own=False, named=True), {"ipc": X}, Group("machine", False, named=True)),
        (Group("pod", own=False, named=True), {}, Group("pod", own=False, named=True)),
    ],
)
def test_whose_machine(group: Group, owners: dict[str, Owner], wanted: Group) -> None:
    assert group_with(group, owners, "c") == wanted


@pytest.mark.parametrize(
    ("group", "owners"),
    [
        (ALONE, {"ipc": X, "pid": Owner("y", "another")}),
        (Group("pod", own=False, named=True), {"ipc": X}),
        (Group("c", own=True, named=True), {"ipc": X}),
    ],
)
def test_two_machines_are_refused(group: Group, owners: dict[str, Owner]) -> None:
    with pytest.raises(InvalidRequest, match="in different virtual machines") as raised:
        group_with(group, owners, "c")
    assert "ipc: machine" in str(raised.value)


def test_paths_in_the_guest() -> None:
    assert guest_paths({"network": X, "pid": Owner("y", "machine")}) == {
        "network": "/run/enclos/containers/x/init/ns/net",
        "pid": "/run/enclos/containers/y/init/ns/pid",
    }
