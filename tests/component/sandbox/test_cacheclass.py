"""Groups of resctrl, on a directory that looks like one: hardly any host has the real thing."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from enclos.errors import InvalidRequest
from enclos.linux import process, resctrl
from enclos.oci.linux import IntelRdt, Linux
from enclos.oci.types import Spec
from enclos.sandbox import cacheclass, release
from enclos.state import ledger, store
from enclos.state.store import StateRoot

pytestmark = pytest.mark.usefixtures("leak_check")

SCHEMA = "L3:0=ff;1=0f"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "resctrl"
    place.mkdir()
    for file in ("schemata", "tasks"):
        (place / file).touch()
    monkeypatch.setattr(resctrl, "ROOT", place)
    return place


@pytest.fixture
def root(tmp_path: Path) -> StateRoot:
    made = StateRoot(tmp_path / "state")
    store.reserve(made, "c")
    return made


def make(root: StateRoot, asked: IntelRdt | None) -> str:
    with ExitStack() as undo:
        name = cacheclass.make(root, Spec(linux=Linux(intel_rdt=asked)), "c", undo=undo)
        undo.pop_all()
    return name


def test_without_the_file_system_it_is_refused_by_name(
    root: StateRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resctrl, "ROOT", tmp_path / "nowhere")
    with pytest.raises(InvalidRequest, match=r"linux\.intelRdt: the host has no resctrl") as found:
        make(root, IntelRdt(l3_cache_schema=SCHEMA))
    assert "mount -t resctrl" in found.value.hint
    assert make(root, None) == ""


def test_a_group_of_its_own_goes_with_the_container(mounted: Path, root: StateRoot) -> None:
    assert make(root, IntelRdt(schemata=(SCHEMA,))) == "c"
    assert (mounted / "c/schemata").read_text() == f"{SCHEMA}\n"
    (entry,) = ledger.of_container(root.container("c")).entries()
    assert (entry.kind, dict(entry.fields)) == ("resctrl", {"name": "c"})
    (mounted / "c/schemata").unlink()  # the kernel's rmdir does not mind files
    release.container(root, "c")
    assert not (mounted / "c").exists()


def test_a_class_by_name_is_shared_and_stays(mounted: Path, root: StateRoot) -> None:
    assert make(root, IntelRdt(clos_id="gold", l3_cache_schema=SCHEMA)) == "gold"
    (mounted / "gold/schemata").write_text("    L3:1=f;0=0ff\n    MB:0=100\n")
    assert make(root, IntelRdt(clos_id="gold", l3_cache_schema=SCHEMA)) == "gold"
    assert make(root, IntelRdt(clos_id="gold")) == "gold"
    with pytest.raises(InvalidRequest, match="another schema"):
        make(root, IntelRdt(clos_id="gold", l3_cache_schema="L3:0=1"))
    with pytest.raises(InvalidRequest, match="there is no group silver"):
        make(root, IntelRdt(clos_id="silver"))
    with pytest.raises(InvalidRequest, match="monitoring"):
        make(root, IntelRdt(clos_id="gold", enable_monitoring=True))
    release.container(root, "c")
    assert (mounted / "gold").exists()


def test_every_thread_joins(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file takes one thread at a time."""
    written: list[str] = []
    (mounted / "c").mkdir()
    write = Path.write_text

    def note(file: Path, text: str) -> int:
        written.append(text)
        return write(file, text)

    monkeypatch.setattr(Path, "write_text", note)
    with process.running(["sleep", "60"]) as child:
        resctrl.add("c", [os.getpid(), child.pid, 0])
        assert set(written) == {*os.listdir("/proc/self/task"), str(child.pid)}


def test_a_new_schema(mounted: Path) -> None:
    (mounted / "c").mkdir()
    spec = Spec(linux=Linux(intel_rdt=IntelRdt(l3_cache_schema=SCHEMA)))
    changed = cacheclass.change(spec, "c", l3_cache="", bandwidth="MB:0=20")
    assert (mounted / "c/schemata").read_text() == "MB:0=20\n"
    assert changed.linux is not None
    assert changed.linux.intel_rdt == IntelRdt(l3_cache_schema=SCHEMA, mem_bw_schema="MB:0=20")
    with pytest.raises(InvalidRequest, match="created without a class"):
        cacheclass.change(Spec(), "c", l3_cache=SCHEMA, bandwidth="")
