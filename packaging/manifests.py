"""Writes packaging/kubernetes/enclos.json: what Helm makes of the chart beside it, for `kubectl`.

The chart is the one place where the objects are described. Rendering is by Helm's own engine
(`helm-python-sdk`, a dependency of the tests), which is foreign machine code: it runs in a
process of its own as nobody, without the network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

KUBERNETES: Final = Path(__file__).resolve().parent / "kubernetes"
CHART: Final = KUBERNETES / "chart"
WRITTEN: Final = KUBERNETES / "enclos.json"
_NOBODY: Final = 65534
_TIMEOUT_S: Final = 60
_RENDER: Final = """
import json, sys
import helm_python, yaml
path, values = sys.argv[1:]
with helm_python.Chart.load(path) as chart:
    try:
        made = chart.render(json.loads(values), name="enclos", namespace="kube-system")
    except helm_python.HelmError as error:
        sys.exit(str(error))
found = [one for name in sorted(made) for one in yaml.safe_load_all(made[name]) if one]
messages = helm_python.lint(path)["messages"]
print(json.dumps({"objects": found, "lint": messages}))
"""


def render(values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The chart's `objects` with these values, and what Helm's `lint` says of it.

    Raises `ValueError` with Helm's words if it refuses the values.
    """
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        chart = shutil.copytree(CHART, f"{place}/chart")  # the tree may be in nobody's reach
        done = subprocess.run(
            ["unshare", "--net", "setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}",
             "--clear-groups", "--no-new-privs", "--bounding-set=-all",
             sys.executable, "-I", "-c", _RENDER, chart, json.dumps(values or {})],
            capture_output=True, check=False, text=True, timeout=_TIMEOUT_S, cwd="/",
            env={"HOME": "/nonexistent"},
        )  # fmt: skip
    if done.returncode != 0:
        raise ValueError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def written() -> str:
    """The text of the file."""
    listed = {"apiVersion": "v1", "kind": "List", "items": render()["objects"]}
    return json.dumps(listed, indent=2) + "\n"


if __name__ == "__main__":
    WRITTEN.write_text(written())
