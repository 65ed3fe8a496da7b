"""Which kernel modules are chosen, in which order, and the tables that name them."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from enclos.assets import elf, modules
from enclos.errors import HostUnfit

BOOT = {
    "drivers/virtio/virtio_mem": "",
    "drivers/block/virtio_blk": "",
    "drivers/net/net_failover": "failover",
    "drivers/net/virtio_net": "net_failover",
    "net/core/failover": "",
    "fs/overlayfs/overlay": "",
    "fs/erofs/erofs": "",
}
LATER = {
    "drivers/net/veth": "",
    "net/bridge/br_netfilter": "bridge",
    "net/bridge/bridge": "stp,llc",
    "net/802/stp": "llc",
    "net/llc/llc": "",
    "net/netfilter/ipvs/ip_vs": "",
    "fs/xfs/xfs": "",
}


def module(depends: str, aliases: tuple[str, ...] = ()) -> bytes:
    """The smallest ELF file with a .modinfo section."""
    info = b"license=GPL\0depends=" + depends.encode() + b"\0"
    info += b"".join(b"alias=" + alias.encode() + b"\0" for alias in aliases)
    names = b"\0.modinfo\0.shstrtab\0"
    table = 64 + len(info) + len(names)
    header = b"\x7fELF" + bytes(36) + struct.pack("<Q", table) + bytes(10)
    header += struct.pack("<HHH", 64, 3, 2)
    sections = bytes(64)
    for name, offset, size in ((1, 64, len(info)), (10, 64 + len(info), len(names))):
        sections += struct.pack("<IIQQQQ", name, 1, 0, 0, offset, size).ljust(64, b"\0")
    return header[:40] + header[40:].ljust(24, b"\0") + info + names + sections


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, depends in (BOOT | LATER).items():
        path = tmp_path / "kernel" / f"{name}.ko.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        aliases = ("rtnl-link-veth",) if name.endswith("veth") else ()
        path.write_bytes(lzma.compress(module(depends, aliases)))
    return tmp_path


def test_a_section_is_found_by_name() -> None:
    assert elf.strings(module("a,b"), ".modinfo") == ["license=GPL", "depends=a,b"]
    assert elf.section(module(""), ".text") == b""


def test_dependencies_come_first(directory: Path) -> None:
    boot = [one.name for one in modules.choose(directory).boot]
    assert boot.index("failover") < boot.index("net_failover") < boot.index("virtio_net")


def test_later_ones_are_chosen_by_pattern_with_what_they_need(directory: Path) -> None:
    later = {one.name for one in modules.choose(directory).later}
    assert later == {"veth", "br_netfilter", "bridge", "stp", "llc"}


def test_boot_modules_are_unpacked_and_later_ones_not(directory: Path) -> None:
    files = {file: content for _module, file, content in modules.choose(directory).files()}
    assert files["kernel/fs/overlayfs/overlay.ko"].startswith(b"\x7fELF")
    assert lzma.decompress(files["kernel/drivers/net/veth.ko.xz"]).startswith(b"\x7fELF")


def test_tables_for_agent_and_modprobe(directory: Path) -> None:
    tables = modules.tables(modules.choose(directory), "6.1")
    table = tables[modules.TABLE].splitlines()
    assert table[0] == ("boot virtio_mem /usr/lib/modules/6.1/kernel/drivers/virtio/virtio_mem.ko")
    assert "later veth /usr/lib/modules/6.1/kernel/drivers/net/veth.ko.xz" in table
    dependencies = tables["usr/lib/modules/6.1/modules.dep"].splitlines()
    bridge = next(line for line in dependencies if line.startswith("kernel/net/bridge/br_net"))
    assert [Path(file).name for file in bridge.partition(": ")[2].split()] == [
        "bridge.ko.xz", "llc.ko.xz", "stp.ko.xz",
    ]  # fmt: skip
    assert tables["usr/lib/modules/6.1/modules.alias"] == "alias rtnl-link-veth veth\n"


def test_a_missing_module_is_named(directory: Path) -> None:
    (directory / "kernel/fs/erofs/erofs.ko.xz").unlink()
    with pytest.raises(HostUnfit, match="erofs"):
        modules.choose(directory)
