"""The real thing: assets built from the network once, then changed, damaged and interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from enclos.assets import agent, build, initrd, store, verify
from enclos.errors import HostUnfit
from enclos.tools import mmdebstrap

PROGRAM: Final = """
import sys
from pathlib import Path
from enclos.assets import build
report = lambda line: print(line, flush=True)
if sys.argv[1] == "build":
    build.build(Path(sys.argv[2]), report=report)
else:
    build.ensure(Path(sys.argv[2]), allow_build=False, report=report)
"""


def quiet(_line: str) -> None:
    """A reporter that tells nobody."""


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """A data root with fresh assets. Not below /tmp: hard links of 500 MB want a disk."""
    data_root = Path(tempfile.mkdtemp(prefix="enclos-assets-", dir="/var/tmp"))
    try:
        build.build(data_root, report=quiet)
        yield data_root
    finally:
        shutil.rmtree(data_root)


@pytest.fixture
def data_root(built: Path) -> Iterator[Path]:
    """A copy to do damage to."""
    copy = Path(tempfile.mkdtemp(prefix="enclos-assets-", dir="/var/tmp"))
    try:
        shutil.copytree(built / "assets", copy / "assets", symlinks=True)
        yield copy
    finally:
        shutil.rmtree(copy)


@pytest.fixture
def other_code(tmp_path: Path) -> Path:
    """The sources with another agent: one comment more."""
    copy = tmp_path / "src"
    shutil.copytree(agent.PACKAGE_ROOT / "enclos", copy / "enclos")
    with (copy / "enclos/guest/main.py").open("a") as file:
        file.write("# another agent\n")
    return copy


def start(
    verb: str, data_root: Path, *, code: Path = agent.PACKAGE_ROOT, temporary: Path | None = None
) -> subprocess.Popen[str]:
    place = {} if temporary is None else {"TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-B", "-c", PROGRAM, verb, str(data_root)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(code), **place},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def assets(built: Path) -> store.Assets:
    return store.load(built)


def test_fresh_assets_are_whole_and_of_this_code(assets: store.Assets) -> None:
    assert verify.quick(assets) == []
    assert verify.verify(assets) == []
    assert build.is_current(assets)


def test_the_manifest_names_packages_and_versions(assets: store.Assets) -> None:
    found = store.packages(assets)
    assert {"qemu-system-x86", "virtiofsd", "passt", "crun", "python3.13"} <= set(found)
    assert all(len(one.sha256) == 64 and one.version for one in found.values())
    assert assets.qemu_version == found["qemu-system-x86"].version
    assert assets.kernel_release in str(sorted(found))


def test_the_tools_run_in_their_root(assets: store.Assets) -> None:
    for program in ("usr/bin/qemu-system-x86_64", "usr/libexec/virtiofsd"):
        done = subprocess.run(
            ["chroot", assets.tool_root, f"/{program}", "--version"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "version" in done.stdout or "virtiofsd" in done.stdout


def test_nothing_in_the_tool_root_is_setuid_or_foreign_writable(assets: store.Assets) -> None:
    for path in assets.tool_root.rglob("*"):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o6002, path


def test_the_kernel_is_an_elf_file_and_the_initrd_small(assets: store.Assets) -> None:
    assert assets.vmlinux.read_bytes()[:4] == b"\x7fELF"
    assert assets.initrd.read_bytes()[:6] == b"070701"
    assert assets.initrd.stat().st_size <= 22 << 20


def test_the_demo_image_is_a_layout(assets: store.Assets, tmp_path: Path) -> None:
    source = f"oci:{assets.demo_image}:latest"
    done = subprocess.run(["skopeo", "copy", "-q", source, f"dir:{tmp_path}/out"])
    assert done.returncode == 0


def test_two_builds_of_the_initrd_are_equal(assets: store.Assets) -> None:
    again = initrd.build(assets.guest_root, assets.kernel_release)
    assert again.data == assets.initrd.read_bytes()
    assert again.agent_version == assets.agent_version


def test_building_again_changes_nothing(data_root: Path) -> None:
    before = store.load(data_root)
    after = build.build(data_root, report=quiet)
    assert after.manifest.part == before.manifest.part
    assert [path.name for path in (data_root / "assets/parts").iterdir()] == [before.manifest.part]
    assert verify.quick(after) == []


@pytest.mark.parametrize("name", ["initrd", "vmlinux", "tool-root/usr/bin/passt"])
def test_damage_is_named_at_start(data_root: Path, name: str) -> None:
    victim = store.load(data_root).path / name
    with victim.resolve().open("ab") as file:
        file.write(b"x")
    (damaged,) = verify.quick(store.load(data_root))
    assert damaged.endswith(name)


def test_damage_behind_an_old_time_is_named_by_reading(data_root: Path) -> None:
    victim = store.load(data_root).guest_root / "usr/bin/crun"
    found = victim.stat()
    with victim.open("r+b") as file:
        file.write(b"x")
    os.utime(victim, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert verify.quick(store.load(data_root)) == []
    (damaged,) = verify.verify(store.load(data_root))
    assert damaged.endswith("guest-root/usr/bin/crun")


def test_a_damaged_tool_is_refused_with_a_hint(data_root: Path) -> None:
    (store.load(data_root).tool_root / "usr/bin/passt").unlink()
    with pytest.raises(HostUnfit, match="usr/bin/passt") as caught:
        build.ensure(data_root, allow_build=False, report=quiet)
    assert caught.value.hint == "run: enclos assets build"


def test_a_damaged_initrd_is_made_again(data_root: Path) -> None:
    before = store.load(data_root)
    before.initrd.write_bytes(b"")
    after = build.ensure(data_root, allow_build=False, report=quiet)
    assert after.manifest.part == before.manifest.part
    assert verify.verify(after) == []


def test_other_code_gets_another_agent_once(data_root: Path, other_code: Path) -> None:
    before = store.load(data_root)
    builders = [start("ensure", data_root, code=other_code) for _ in range(2)]
    told = "".join(builder.communicate(timeout=60)[0] for builder in builders)
    assert [builder.returncode for builder in builders] == [0, 0]
    assert told.count("building the initrd") == 1
    after = store.load(data_root)
    assert after.agent_version != before.agent_version
    assert after.tool_root == before.tool_root
    assert after.agent_version.encode() in after.initrd.read_bytes()


def test_a_killed_build_leaves_the_old_in_force(data_root: Path, tmp_path: Path) -> None:
    before = store.load(data_root)
    with start("build", data_root, temporary=tmp_path) as builder:
        assert builder.stdout is not None
        for line in builder.stdout:
            if "downloading" in line:
                builder.send_signal(signal.SIGKILL)
                break
    assert list((data_root / "assets").glob(".tmp-*"))
    assert not list(tmp_path.iterdir())
    assert store.load(data_root) == before
    assert verify.quick(before) == []
    before.initrd.unlink()
    after = build.ensure(data_root, allow_build=False, report=quiet)
    assert verify.verify(after) == []


def test_leftovers_of_dead_builds_are_removed(data_root: Path) -> None:
    (data_root / "assets/.tmp-dead/part").mkdir(parents=True)
    store.load(data_root).initrd.unlink()
    build.ensure(data_root, allow_build=False, report=quiet)
    assert not list((data_root / "assets").glob(".tmp-*"))


def test_a_mirror_that_is_not_there_changes_nothing(data_root: Path) -> None:
    before = store.load(data_root)
    archive = mmdebstrap.Archive(mirror="http://localhost:9/debian")
    with pytest.raises(HostUnfit, match="could not unpack") as caught:
        build.build(data_root, report=quiet, archive=archive)
    assert caught.value.hint
    assert store.load(data_root) == before
    assert not list((data_root / "assets").glob(".tmp-*"))
