"""Which volumes are swapped as a whole, and how the guest keeps up with them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from enclos.errors import GuestFailed, InvalidRequest
from enclos.guest import projections as guest
from enclos.linux import libc
from enclos.oci.types import Mount
from enclos.sandbox import projections as host
from tests.support.projected import swap


def _bound(source: Path, option: str = "ro") -> Mount:
    return Mount("/v", "bind", os.fspath(source), ("rbind", option))


def test_what_is_one(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    swap(volume, {"key": "1", "dir/other": "2"})
    (tmp_path / "plain").mkdir()
    swap(tmp_path / "mixed", {"key": "1"})
    (tmp_path / "mixed/file").write_text("x")
    swap(tmp_path / "large", {"key": "x" * (host.MOST_BYTES + 1)})
    swap(tmp_path / "many", {str(number): "" for number in range(host.MOST_ENTRIES + 1)})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/..data").symlink_to("/etc")
    names = ("volume", "plain", "mixed", "large", "many", "elsewhere", "missing")
    mounts = [_bound(tmp_path / name) for name in names]
    assert host.find(mounts, tmp_path) == {os.fspath(volume)}
    assert host.find([Mount("/v", "bind", "volume", ("bind",))], tmp_path) == {os.fspath(volume)}
    assert not host.find([Mount("/v", "tmpfs", os.fspath(volume))], tmp_path)


@pytest.mark.parametrize("data", ["/etc", "..", "..linked", "../volume"])
def test_a_link_that_leads_out_of_the_volume_is_not_followed(tmp_path: Path, data: str) -> None:
    volume = tmp_path / "volume"
    swap(volume, {"key": "1"})
    (volume / "..linked").symlink_to("/etc")
    (volume / "..data").unlink()
    (volume / "..data").symlink_to(data)
    assert not host.find([_bound(volume)], tmp_path)


def test_links_in_a_volume_are_counted_and_not_followed(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    swap(volume, {"key": "1", "dir/other": "2"})
    large = tmp_path / "large"
    swap(large, {"key": "x" * (host.MOST_BYTES + 1)})
    (volume / os.readlink(volume / "..data") / "aside").symlink_to(large)
    assert host.find([_bound(volume)], tmp_path) == {os.fspath(volume)}


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The volume m0 of the container c, as the share shows it; the copy is beside it."""
    monkeypatch.setattr(guest, "SHARE_PATH", os.fspath(tmp_path / "share"))
    monkeypatch.setattr(guest, "PROJECTIONS_PATH", os.fspath(tmp_path / "copies"))
    return tmp_path / "share/c/m0"


def _told(share: Path) -> None:
    """As the agent does when it is told of a swap."""
    guest._bring(*guest._paths("c", "m0"), os.readlink(share / "..data"))


def _content(place: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in sorted(entry.name for entry in place.iterdir() if entry.name[:2] != ".."):
        path = place / name
        if path.is_dir():
            found |= {f"{name}/{key}": text for key, text in _content(path).items()}
        else:
            found[name] = path.read_text()
    return found


def test_a_copy_keeps_up(share: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies/c/m0"
    first, second = {"key": "1", "dir/other": "x", "old": ""}, {"key": "2", "dir/more": "y"}
    swap(share, first, mode=0o640)
    (share / os.readlink(share / "..data") / "key").chmod(0o400)
    os.chown(share / os.readlink(share / "..data") / "key", 12, 34)
    guest.fill("c", ("m0",))
    assert _content(copy) == first
    found = (copy / "key").stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o400, 12, 34)
    swap(share, second)
    _told(share)
    assert _content(copy) == second
    assert sorted(os.listdir(copy)) == sorted(os.listdir(share)), "nothing is left of the old one"
    _told(share)
    assert _content(copy) == second
    guest.forget("c")
    assert not copy.parent.exists()


def test_a_swap_is_an_event(share: Path, tmp_path: Path) -> None:
    swap(share, {"key": "1"})
    guest.fill("c", ("m0",))
    watch = libc.inotify_init()
    libc.inotify_add_watch(watch, os.fspath(tmp_path / "copies/c/m0"), libc.IN_MOVED_TO)
    swap(share, {"key": "2"})
    _told(share)
    assert b"..data\0" in os.read(watch, 4096)
    os.close(watch)


@pytest.mark.parametrize("data", ["", "x", "..", "..data", "..data_tmp", "../etc", "..a/b"])
def test_a_name_that_leads_elsewhere(share: Path, data: str) -> None:
    swap(share, {"key": "1"})
    guest.fill("c", ("m0",))
    with pytest.raises(InvalidRequest, match="no directory of a projected volume"):
        guest._bring(*guest._paths("c", "m0"), data)
    for name in ("m", "m0/..", "x1", "rootfs"):
        with pytest.raises(InvalidRequest, match="the name of no volume"):
            guest._paths("c", name)


def test_a_swap_that_was_overtaken(share: Path) -> None:
    swap(share, {"key": "1"})
    guest.fill("c", ("m0",))
    with pytest.raises(GuestFailed, match="cannot copy a projected volume"):
        guest._bring(*guest._paths("c", "m0"), f"..{time.time_ns()}")
