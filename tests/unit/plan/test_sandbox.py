from __future__ import annotations

import json
from typing import Any

from enclos.config.settings import Settings
from enclos.oci.load import load_spec
from enclos.plan.sandbox import SandboxPlan, plan_sandbox, render
from tests.support import specs
from tests.unit.plan.test_machine import Host


def plan(document: Any) -> SandboxPlan:
    spec = load_spec(json.dumps(document))
    return plan_sandbox(spec, container_id="c1", bundle="/b", settings=Settings(), host=Host())


def test_the_plan_can_be_read() -> None:
    found = json.loads(render(plan(specs.podman())))
    assert found["containerId"] == found["sandboxId"] == "c1"
    assert found["machine"] == {
        "memoryBytes": 768 << 20,
        "baseMemoryBytes": 256 << 20,
        "hotplugBytes": 512 << 20,
        "vcpus": 2,
        "spareVcpus": 0,
        "kernelArguments": "",
        "template": True,
    }
    assert found["sources"][3]["name"] == "m3"
    assert found["network"] == "/run/netns/netns-1"
    assert found["hostLimits"]["cpus"] == "0-1"
    assert found["hostLimits"]["blockIO"] == {"weight": 500}
    assert found["hostHooks"] == {
        "prestart": [{"path": "/usr/bin/hook", "args": ["hook", "prestart"]}]
    }
    assert found["guestSpec"]["root"]["path"] == "/run/share/c1/rootfs"


def test_who_joins_a_pod_brings_no_machine() -> None:
    document = specs.put(specs.minimal(), "annotations", {"io.kubernetes.cri.sandbox-id": "pod"})
    found = plan(document)
    assert found.machine is None
    assert json.loads(render(found))["machine"] is None


def test_notes_of_all_parts_come_together() -> None:
    document = specs.put(specs.minimal(), "linux.resources.memory.limit", 1 << 60)
    assert len(plan(document).notes) == 4
