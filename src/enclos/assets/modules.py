"""Chooses the guest's kernel modules and writes the tables by which they are loaded.

`boot` modules are loaded by the agent in the order of the table /etc/enclos/modules and lie
uncompressed in the initrd; `later` ones stay compressed (the kernel unpacks them) and are
loaded on demand, by the agent or by the kernel's own call of modprobe, which reads
modules.dep and modules.alias. A line of the table: group, name, path, by single spaces.
"""

from __future__ import annotations

import fnmatch
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from enclos.assets import elf
from enclos.errors import HostUnfit
from enclos.structs import dataclass

TABLE: Final = "etc/enclos/modules"
BOOT: Final = ("virtio_mem", "virtio_blk", "virtio_net", "overlay", "erofs")
_TRAFFIC_CONTROL: Final = (
    *("act_bpf", "act_gact", "act_mirred", "act_police"),
    *("cls_basic", "cls_bpf", "cls_cgroup", "cls_flower", "cls_fw", "cls_matchall", "cls_u32"),
    *("sch_fq", "sch_htb", "sch_ingress", "sch_netem", "sch_prio", "sch_sfq", "sch_tbf"),
)
LATER: Final = (
    "drivers/block/loop.ko",
    "drivers/char/hw_random/virtio-rng.ko",
    "drivers/net/dummy.ko",
    "drivers/net/ipvlan/*.ko",
    "drivers/net/macv*.ko",
    "drivers/net/tun.ko",
    "drivers/net/veth.ko",
    "drivers/net/vxlan/vxlan.ko",
    "drivers/net/wireguard/wireguard.ko",
    "drivers/scsi/sd_mod.ko",
    "drivers/scsi/virtio_scsi.ko",
    "drivers/virtio/virtio_balloon.ko",
    "fs/ext4/ext4.ko",
    "fs/binfmt_misc.ko",
    "net/8021q/8021q.ko",
    "net/bridge/*.ko",
    "net/bridge/netfilter/*.ko",
    "net/ipv4/netfilter/*.ko",
    "net/ipv6/netfilter/*.ko",
    "net/netfilter/*.ko",
    *(f"net/sched/{name}.ko" for name in _TRAFFIC_CONTROL),
    "net/vmw_vsock/vmw_vsock_virtio_transport.ko",
)
"""Patterns of paths below `kernel/`: what containers' own networks, firewalls and disks ask for.
A pattern's `*` stays within one directory."""
_NEVER: Final = frozenset(
    ("amanda", "h323", "irc", "netbios_ns", "pptp", "sane", "sip", "snmp", "snmp_basic", "tftp")
)
"""Protocols whose trackers nobody misses: each module takes at least a page of every guest."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module: `file` is its path below the kernel's module directory, without `.xz`."""

    name: str
    file: str
    packed: bytes
    data: bytes
    depends: tuple[str, ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Modules in an order in which each comes after all it depends on."""

    boot: tuple[Module, ...]
    later: tuple[Module, ...]

    def files(self) -> Iterator[tuple[Module, str, bytes]]:
        """Each module with its file's name and content in the guest."""
        yield from ((module, module.file, module.data) for module in self.boot)
        yield from ((module, f"{module.file}.xz", module.packed) for module in self.later)


def choose(directory: Path) -> Selection:
    """The modules of `directory` (lib/modules/RELEASE) that belong into the guest."""
    found = {_name(path): path for path in sorted(directory.rglob("*.ko.xz"))}
    boot: dict[str, Module] = {}
    for name in BOOT:
        _add(name, directory, found=found, into=boot)
    both = dict(boot)
    for name, path in found.items():
        if _matches(path.relative_to(directory / "kernel")):
            _add(name, directory, found=found, into=both)
    later = (module for name, module in both.items() if name not in boot)
    return Selection(tuple(boot.values()), tuple(later))


def tables(selection: Selection, release: str) -> dict[str, str]:
    """The guest's tables by file name: the agent's and the two of modprobe."""
    target = f"usr/lib/modules/{release}"
    files = {module.name: file for module, file, _content in selection.files()}
    every = (*selection.boot, *selection.later)
    groups = [("boot", module) for module in selection.boot]
    groups += [("later", module) for module in selection.later]
    return {
        TABLE: "".join(
            f"{group} {module.name} /{target}/{files[module.name]}\n" for group, module in groups
        ),
        f"{target}/modules.dep": "".join(_dependencies(every, files)),
        f"{target}/modules.alias": "".join(
            f"alias {alias} {module.name}\n" for module in every for alias in module.aliases
        ),
    }


def _dependencies(every: Iterable[Module], files: dict[str, str]) -> Iterator[str]:
    """Lines `file: direct and indirect dependencies`, the nearest first, as depmod's."""
    whole: dict[str, tuple[str, ...]] = {}
    for module in every:
        chain = dict.fromkeys(reversed(module.depends))
        for dependency in reversed(module.depends):
            chain.update(dict.fromkeys(whole[dependency]))
        whole[module.name] = tuple(chain)
        needed = "".join(f" {files[name]}" for name in chain)
        yield f"{files[module.name]}:{needed}\n"


def _matches(path: Path) -> bool:
    name = path.with_suffix("")
    if any(name.stem.endswith(f"_{protocol}") for protocol in _NEVER):
        return False
    return any(
        len(Path(pattern).parts) == len(name.parts) and fnmatch.fnmatchcase(str(name), pattern)
        for pattern in LATER
    )


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _add(name: str, directory: Path, *, found: dict[str, Path], into: dict[str, Module]) -> None:
    if name in into:
        return
    if name not in found:
        raise HostUnfit(
            f"the guest kernel's package has no module {name}",
            hint="report this kernel package; until then configure another suite",
        )
    module = _read(name, directory, found[name])
    for dependency in module.depends:
        _add(dependency, directory, found=found, into=into)
    into[name] = module


def _read(name: str, directory: Path, path: Path) -> Module:
    packed = path.read_bytes()
    data = lzma.decompress(packed)
    info = [item.partition("=")[::2] for item in elf.strings(data, ".modinfo")]
    depends = ",".join(value for key, value in info if key == "depends").split(",")
    return Module(
        name=name,
        file=path.relative_to(directory).as_posix().removesuffix(".xz"),
        packed=packed,
        data=data,
        depends=tuple(one.replace("-", "_") for one in depends if one),
        aliases=tuple(value for key, value in info if key == "alias"),
    )
