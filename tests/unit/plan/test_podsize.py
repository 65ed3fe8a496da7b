from __future__ import annotations

import json

import pytest

from enclos.config.settings import Settings
from enclos.errors import InvalidRequest
from enclos.oci.load import load_spec
from enclos.oci.resources import Memory, Resources
from enclos.plan import podsize
from enclos.plan.sandbox import plan_sandbox
from tests.support import specs
from tests.unit.plan.test_machine import Host

CRI = "io.kubernetes.cri.sandbox-"


def test_the_pods_limits_size_its_machine() -> None:
    annotations = {
        f"{CRI}id": "c1",
        f"{CRI}memory": str(2 << 30),
        f"{CRI}cpu-quota": "250000",
        f"{CRI}cpu-period": "100000",
    }
    spec = load_spec(json.dumps(specs.put(specs.minimal(), "annotations", annotations)))
    plan = plan_sandbox(spec, container_id="c1", bundle="/b", settings=Settings(), host=Host())
    assert plan.machine is not None
    assert plan.machine.vcpus == 3
    assert plan.machine.memory_bytes > 2 << 30


@pytest.mark.parametrize("text", ["0", "-1"])
def test_without_limits_it_is_the_containers_own(text: str) -> None:
    own = Resources(memory=Memory(limit=1 << 30))
    annotations = {f"{CRI}memory": text, f"{CRI}cpu-quota": text, f"{CRI}cpu-shares": "2"}
    assert podsize.of_machine(annotations, own) is own


@pytest.mark.parametrize("text", ["", "1G", "1" * 19, "1.5", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="sandbox-memory is no number"):
        podsize.of_machine({f"{CRI}memory": text}, None)
