"""The objects of packaging/kubernetes: by Kubernetes' own schemas, and against what they must fit.

Fields that a schema does not know are errors, in the oldest and the newest version tested.
"""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import kubernetes_validate
import pytest

from enclos.plan import wishes
from enclos.plan.containerdconfig import HANDLER

TREE: Final = Path(__file__).resolve().parents[3]
PLACE: Final = TREE / "packaging/kubernetes"
QUANTITY: Final = re.compile(r"[0-9]+(m|Ki|Mi|Gi)?")
IDLE_BYTES: Final = 156_000_000
"""Of a machine; see docs/promises.md."""
VERSIONS: Final = ("1.25", "1.31", "1.37")
OTHER_VALUES: Final[dict[str, Any]] = {
    "image": {"repository": "registry.example/enclos-node", "tag": "7", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "key"}],
    "engine": "k3s",
    "allowedAnnotations": ["memory", "vcpus"],
    "nodeSelector": {"io.enclos/runtime": None, "disk": "fast"},
    "tolerations": [{"key": "machines", "operator": "Exists", "effect": "NoSchedule"}],
    "runtimeClass": {"name": "vm", "overhead": {"memory": "1Gi"}},
    "resources": {"limits": {"memory": "64Mi"}},
    "waitSeconds": 240,
}


@cache
def _manifests() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "enclos_manifests", TREE / "packaging/manifests.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rendered(values: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The chart's objects by their kind."""
    return {one["kind"]: one for one in _manifests().render(values)["objects"]}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLACE / name).read_text())
    return found


def _check(found: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("name", ["runtimeclass.json", "pod.json"])
def test_the_files_are_by_the_schemas(name: str) -> None:
    _check(_read(name))


def test_an_unknown_field_would_be_found() -> None:
    pod = _read("pod.json")
    pod["spec"]["containers"][0]["imagge"] = "busybox"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagge"):
        _check(pod)


@pytest.mark.parametrize("values", [None, OTHER_VALUES], ids=["default", "others"])
def test_what_the_chart_makes_is_by_the_schemas(values: dict[str, Any] | None) -> None:
    found = _rendered(values)
    assert set(found) == {"DaemonSet", "RuntimeClass"}
    for one in found.values():
        _check(one)


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    messages = [one["error"] for one in _manifests().render()["lint"]]
    assert [text for text in messages if text != "icon is recommended"] == []


def test_the_written_file_is_what_the_chart_makes() -> None:
    made = _manifests().written()
    assert made == (PLACE / "enclos.json").read_text(), "run: packaging/manifests.py"


def test_values_reach_the_node() -> None:
    found = _rendered(OTHER_VALUES)
    spec = found["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/enclos-node:7"
    assert container["imagePullPolicy"] == "Always"
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "ENGINE": "k3s",
        "ALLOWED_ANNOTATIONS": "memory vcpus",
        "WAIT_S": "240",
    }
    assert spec["terminationGracePeriodSeconds"] == 300
    assert spec["imagePullSecrets"] == OTHER_VALUES["imagePullSecrets"]
    runtime = found["RuntimeClass"]
    assert (runtime["metadata"]["name"], runtime["handler"]) == ("vm", HANDLER)
    for place in (spec, runtime["scheduling"]):
        assert place["nodeSelector"] == {"disk": "fast"}
        assert place["tolerations"] == OTHER_VALUES["tolerations"]


def test_the_class_can_be_left_out() -> None:
    assert set(_rendered({"runtimeClass": {"create": False}})) == {"DaemonSet"}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"engine": "crio"}, "/engine"),
        ({"allowedAnnotations": ["no-such"]}, "/allowedAnnotations/0"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"waitSeconds": "long"}, "/waitSeconds"),
        ({"runtimeclass": {}}, "runtimeclass"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        _manifests().render(values)


def test_the_schema_of_the_values_knows_all_annotations() -> None:
    schema = json.loads((PLACE / "chart/values.schema.json").read_text())
    listed = schema["properties"]["allowedAnnotations"]["items"]["enum"]
    assert set(listed) == {*wishes.NAMES, "*"}


def test_the_chart_s_class_is_the_one_made_by_hand() -> None:
    assert _rendered()["RuntimeClass"] == _read("runtimeclass.json")


def test_the_runtime_class_covers_a_machine() -> None:
    found = _read("runtimeclass.json")
    assert found["handler"] == HANDLER
    fixed = found["overhead"]["podFixed"]
    assert all(QUANTITY.fullmatch(text) for text in fixed.values())
    assert int(fixed["memory"].removesuffix("Mi")) << 20 > IDLE_BYTES


def test_the_pod_asks_for_the_class() -> None:
    pod = _read("pod.json")
    assert pod["spec"]["runtimeClassName"] == _read("runtimeclass.json")["metadata"]["name"]
    (container,) = pod["spec"]["containers"]
    assert all(QUANTITY.fullmatch(text) for text in container["resources"]["limits"].values())


def test_the_guide_has_the_label_of_the_class() -> None:
    guide = (TREE / "docs/guides/kubernetes.md").read_text()
    for key, value in _read("runtimeclass.json")["scheduling"]["nodeSelector"].items():
        assert f"kubectl label node NODE {key}={value}" in guide
        assert f"kubectl label node NODE {key}-" in guide
