from __future__ import annotations

import pytest

from enclos.errors import InvalidRequest
from enclos.plan.grouping import Group, sandbox_of

CONTAINERD = "io.kubernetes.cri.sandbox-id"
CRIO = "io.kubernetes.cri-o.SandboxID"


@pytest.mark.parametrize(
    ("annotations", "group"),
    [
        ({}, Group("c", own=True)),
        ({CRIO: ""}, Group("c", own=True)),
        ({CRIO: "c"}, Group("c", own=True, named=True)),
        ({CRIO: "pod"}, Group("pod", own=False, named=True)),
        ({CONTAINERD: "pod", CRIO: "pod"}, Group("pod", own=False, named=True)),
    ],
)
def test_pods_share_a_machine(annotations: dict[str, str], group: Group) -> None:
    assert sandbox_of(annotations, "c") == group


@pytest.mark.parametrize("annotations", [{CRIO: "../x"}, {CRIO: "a", CONTAINERD: "b"}])
def test_impossible_sandboxes_are_refused(annotations: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        sandbox_of(annotations, "c")
