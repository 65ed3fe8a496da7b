"""What runc and crun themselves write is read, judged and planned."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from enclos.oci import features
from enclos.oci.default import default_spec
from enclos.oci.load import dump_spec, load_spec
from enclos.oci.validate import validate
from enclos.plan.guestspec import guest_spec
from tests.support import leaks


def peer(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this host")
    return found


@pytest.mark.parametrize("call", ["runc spec", "runc spec --rootless", "crun spec"])
def test_their_spec_is_planned(call: str, tmp_path: Path) -> None:
    name, *words = call.split()
    subprocess.run([peer(name), *words], cwd=tmp_path, check=True, timeout=30)
    spec = load_spec((tmp_path / "config.json").read_bytes())
    validate(spec)
    plan = guest_spec(spec, container_id="c", bundle=str(tmp_path))
    validate(load_spec(plan.spec_json))
    assert not plan.sources


def test_our_default_is_runcs(tmp_path: Path) -> None:
    subprocess.run([peer("runc"), "spec"], cwd=tmp_path, check=True, timeout=30)
    theirs = json.loads((tmp_path / "config.json").read_text())
    ours = json.loads(dump_spec(default_spec()))
    assert (ours["process"], ours["root"]) == (theirs["process"], theirs["root"])
    assert ours["mounts"] == theirs["mounts"]
    assert ours["linux"]["readonlyPaths"] == theirs["linux"]["readonlyPaths"]
    assert set(theirs["linux"]["maskedPaths"]) <= set(ours["linux"]["maskedPaths"])


def test_runc_takes_our_default(tmp_path: Path) -> None:
    """A spec of ours is one to others: runc gets as far as the missing program."""
    spec = json.loads(dump_spec(default_spec()))
    spec["process"]["terminal"] = False
    spec["linux"]["namespaces"].remove({"type": "cgroup"})
    (tmp_path / "config.json").write_text(json.dumps(spec))
    (tmp_path / "rootfs").mkdir()
    root = tmp_path / "state"
    done = subprocess.run(
        [peer("runc"), "--root", str(root), "run", "-b", str(tmp_path), leaks.WORD],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "executable file not found in $PATH" in done.stderr


def test_runc_knows_the_words_of_our_features() -> None:
    theirs = json.loads(subprocess.check_output([peer("runc"), "features"], timeout=30))
    ours = features.document()
    assert theirs["hooks"] == ours["hooks"]
    for table in ("capabilities", "namespaces"):
        assert set(theirs["linux"][table]) <= set(ours["linux"][table])
    operators = ours["linux"]["seccomp"]["operators"]
    assert set(theirs["linux"]["seccomp"]["operators"]) == set(operators)
