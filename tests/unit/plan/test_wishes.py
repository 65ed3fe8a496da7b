"""What containers may ask of their machine, and what is refused."""

from __future__ import annotations

import json

import pytest

from enclos.config.settings import Settings
from enclos.errors import InvalidRequest
from enclos.oci.load import load_spec
from enclos.plan import wishes
from enclos.plan.sandbox import SandboxPlan, plan_sandbox
from enclos.plan.wishes import NAMES, NOTHING, PREFIX, Wishes
from tests.support import specs
from tests.unit.plan.test_machine import Host

GIB = 1 << 30
POD = {"io.kubernetes.cri.sandbox-id": "pod"}
ASKED = {"memory": "3GiB", "vcpus": "2", "kernel_arguments": "quiet", "template": "false"}


def _plan(written: dict[str, str], settings: Settings, name: str = "c1") -> SandboxPlan:
    spec = load_spec(json.dumps(specs.put(specs.minimal(), "annotations", written)))
    return plan_sandbox(spec, container_id=name, bundle="/b", settings=settings, host=Host())


def _named(values: dict[str, str]) -> dict[str, str]:
    return {PREFIX + name: text for name, text in values.items()}


def test_the_machine_is_what_is_asked_for() -> None:
    settings = Settings(allowed_annotations="*", kernel_arguments="panic=1")
    machine = _plan(_named(ASKED), settings).machine
    assert machine is not None
    assert machine.memory_bytes == 3 * GIB
    assert (machine.vcpus, machine.template) == (2, False)
    assert machine.kernel_arguments == "panic=1 quiet"


def test_a_limit_that_needs_more_has_more() -> None:
    document = specs.put(specs.minimal(), "annotations", _named({"memory": "512M", "vcpus": "1"}))
    limits = {"memory": {"limit": 2 * GIB}, "cpu": {"quota": 200_000, "period": 100_000}}
    spec = load_spec(json.dumps(specs.put(document, "linux.resources", limits)))
    settings = Settings(allowed_annotations="memory vcpus")
    plan = plan_sandbox(spec, container_id="c", bundle="/b", settings=settings, host=Host())
    assert plan.machine is not None
    assert plan.machine.memory_bytes > 2 * GIB
    assert plan.machine.vcpus == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("allowed", ["", "other"])
def test_nothing_is_allowed_unless_its_name_is(name: str, allowed: str) -> None:
    others = allowed and " ".join(known for known in NAMES if known != name)
    with pytest.raises(InvalidRequest, match=f"{PREFIX}{name} is not allowed") as refused:
        _plan(_named({name: ASKED[name]}), Settings(allowed_annotations=others))
    assert f'allowed_annotations = "{name}"' in refused.value.hint
    found = wishes.read(
        _named({name: ASKED[name]}), Settings(allowed_annotations=f"x,{name}"), own=True
    )
    assert found != NOTHING


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("memory", "lots", "not a size"),
        ("memory", "-1", "not a size"),
        ("vcpus", "two", "whole number"),
        ("template", "maybe", "neither true nor false"),
        ("kernel_arguments", "a\nb", "not one line"),
        ("kernel_arguments", "x" * 2000, "not one line"),
        ("no_such", "1", f"there is no annotation {PREFIX}no_such"),
    ],
)
def test_what_is_no_value(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        _plan(_named({name: text}), Settings(allowed_annotations="*"))


def test_a_member_of_a_pod_comes_too_late() -> None:
    plan = _plan(POD | _named({"vcpus": "2"}), Settings(allowed_annotations="*"))
    assert plan.machine is None
    assert f"{PREFIX}vcpus: the machine is there already" in plan.notes


def test_without_any_it_is_as_it_was() -> None:
    assert wishes.read({"org.example": "x"}, Settings(), own=True) == Wishes()
