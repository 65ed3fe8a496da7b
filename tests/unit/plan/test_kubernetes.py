"""The manifests of packaging/kubernetes: what a cluster checks of them, and what they must fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from enclos.plan.containerdconfig import HANDLER

PLACE = Path(__file__).resolve().parents[3] / "packaging/kubernetes"
QUANTITY = re.compile(r"[0-9]+(m|Ki|Mi|Gi)?")
IDLE_BYTES = 156_000_000
"""Of a machine; see docs/promises.md."""


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLACE / name).read_text())
    return found


def test_the_runtime_class_names_the_handler() -> None:
    """Its fields are those of node.k8s.io/v1, and no others."""
    found = _read("runtimeclass.json")
    assert (found["apiVersion"], found["kind"]) == ("node.k8s.io/v1", "RuntimeClass")
    assert set(found) == {"apiVersion", "kind", "metadata", "handler", "overhead", "scheduling"}
    assert found["handler"] == HANDLER
    fixed = found["overhead"]["podFixed"]
    assert all(QUANTITY.fullmatch(text) for text in fixed.values())
    assert int(fixed["memory"].removesuffix("Mi")) << 20 > IDLE_BYTES
    assert set(found["scheduling"]) == {"nodeSelector"}


def test_the_pod_asks_for_the_class() -> None:
    pod = _read("pod.json")
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert pod["spec"]["runtimeClassName"] == _read("runtimeclass.json")["metadata"]["name"]
    (container,) = pod["spec"]["containers"]
    assert all(QUANTITY.fullmatch(text) for text in container["resources"]["limits"].values())


def test_the_guide_has_the_label_of_the_class() -> None:
    guide = (PLACE.parents[1] / "docs/guides/kubernetes.md").read_text()
    for key, value in _read("runtimeclass.json")["scheduling"]["nodeSelector"].items():
        assert f"kubectl label node NODE {key}={value}" in guide
        assert f"kubectl label node NODE {key}-" in guide
