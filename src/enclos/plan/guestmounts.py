"""What a spec's mounts become in the guest, and what the host has to share for them. PURE.

A bind mount's source becomes an entry of the container's directory in the share. The kernel's
own file systems are the guest's, also where the spec binds the host's: /sys or /dev/fuse of
another kernel would be of no use. Anything else that would have to be opened on the host and
mounted in the guest is refused by name.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Final

from enclos.oci.complaint import refusal
from enclos.oci.linux import IdMapping, Linux
from enclos.oci.types import Mount
from enclos.structs import dataclass

GUEST_FILE_SYSTEMS: Final = frozenset(
    "binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl hugetlbfs mqueue "
    "proc pstore ramfs securityfs sysfs tmpfs tracefs".split()
)
_KERNEL_TREES: Final = ("/proc", "/sys", "/dev")
SHM: Final = "/dev/shm"
_A_PROCESS: Final = re.compile(r"/proc/(\d+|self|thread-self)(/|$)")
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
"""The kernel's boot id, in every procfs."""
_OUTWARD: Final = frozenset({"shared", "rshared"})
_PROPAGATING: Final = _OUTWARD | {"slave", "rslave"}
_OPPOSITES: Final = tuple(
    frozenset(pair.split())
    for pair in (
        "ro rw rro rrw", "suid nosuid", "dev nodev", "exec noexec", "sync async", "mand nomand",
        "diratime nodiratime", "atime noatime relatime norelatime strictatime nostrictatime",
    )
)  # fmt: skip
"""Options of which the last one counts; crun would set what was set before, too."""
_UNKNOWN: Final = frozenset("acl iversion lazytime loud nosymfollow rnosymfollow silent".split())
"""Options of mount(2) that runc knows and the guest's crun takes for the file system's own."""
_DEFAULTS: Final = frozenset("noacl noiversion nolazytime symfollow rsymfollow".split())
"""Their opposites, which hold anyway."""


@dataclass(frozen=True, slots=True)
class SharedSource:
    """A file or directory of the host to bind into the share as `m<index>`.

    What the host mounts below it later is seen if it `follows`. `readonly` is for the host to
    enforce, too: the guest is not trusted with it. Owners are mapped on the host: the guest finds
    them mapped.
    """

    index: int
    source: str
    destination: str
    recursive: bool
    readonly: bool
    recursive_readonly: bool = False
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    maps_recursively: bool = False
    follows: bool = False

    @property
    def name(self) -> str:
        """Its name in the container's directory of the share."""
        return f"m{self.index}"

    @property
    def may_be_copied(self) -> bool:
        """Whether the guest sees no difference between it and a copy."""
        return self.readonly and not (self.uid_mappings or self.gid_mappings)


@dataclass(frozen=True, slots=True)
class Projected:
    """Sources that are swapped as a whole, and where the guest has its copies of them."""

    sources: frozenset[str]
    place: str = ""


NONE_PROJECTED: Final = Projected(frozenset())


@dataclass(frozen=True, slots=True)
class GuestMounts:
    """Mounts for the guest's spec, sources for the host's share, and what changed.

    `projected` names the sources of which the guest has a copy.
    """

    mounts: tuple[Mount, ...]
    sources: tuple[SharedSource, ...]
    notes: tuple[str, ...]
    projected: tuple[str, ...] = ()


def translate(
    mounts: tuple[Mount, ...],
    *,
    bundle: str,
    share: str,
    boot_id: str,
    shm: str = "",
    linux: Linux | None = None,
    projected: Projected = NONE_PROJECTED,
) -> GuestMounts:
    """Mounts as the guest sees them; `share` is the container's directory there, `linux` has the
    mappings of the container's own user namespace.

    `boot_id` is the file in the guest with the clone's own boot id: it is bound over the
    kernel's in every new procfs, as all clones of a template have the same. `shm`, unless empty,
    is the shared memory there that takes the place of an engine's.
    """
    out: list[Mount] = []
    sources: list[SharedSource] = []
    copied: list[str] = []
    notes: list[str] = []
    for at, mount in enumerate(mounts):
        where = f"mounts[{at}]"
        destination = posixpath.join("/", mount.destination)
        options = _effective(where, mount.options)
        plain = replace(mount, destination=destination, options=options)
        if not mount.binds:
            out.append(_file_system(where, plain))
        elif shm and plain.destination == SHM:
            out.append(_bind(plain, shm))
        elif _is_the_guests(mount.source):
            out.append(_bind(plain, posixpath.normpath(mount.source)))
            notes.append(f"{where}: {mount.source} is the guest's own, not the host's")
        else:
            source = _shared(where, plain, len(sources), bundle=bundle, linux=linux or Linux())
            sources.append(source)
            copy = source.source in projected.sources and source.may_be_copied
            copied += [source.name] if copy else []
            out.append(
                _bind(_unmapped(plain), f"{projected.place if copy else share}/{source.name}")
            )
            notes.extend(_propagation(where, plain))
    if any(_is_procfs(mount) for mount in out):
        out.append(Mount(BOOT_ID, "bind", boot_id, ("bind", "ro", "nosuid", "nodev", "noexec")))
    return GuestMounts(tuple(out), tuple(sources), tuple(notes), tuple(copied))


def _effective(where: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Without what a later option takes back, and without what holds anyway."""
    unknown = sorted(_UNKNOWN & set(options))
    if unknown:
        raise refusal(f"{where}.options", f"{unknown[0]!r} cannot be had in the guest", "remove it")
    return tuple(
        option
        for at, option in enumerate(options)
        if option not in _DEFAULTS
        and not any(option in group and group & set(options[at + 1 :]) for group in _OPPOSITES)
    )


def _file_system(where: str, mount: Mount) -> Mount:
    if mount.type in GUEST_FILE_SYSTEMS or not mount.type:
        return mount
    raise refusal(
        f"{where}.type",
        f"{mount.type[:80]!r} cannot be mounted in the guest",
        "mount it on the host and bind it",
    )


def _is_the_guests(source: str) -> bool:
    """Whether a source is of the kernel's own trees, a process' entries in /proc apart."""
    path = posixpath.normpath(source)
    if not any(path == tree or path.startswith(f"{tree}/") for tree in _KERNEL_TREES):
        return False
    return not _A_PROCESS.match(path)


def _bind(mount: Mount, source: str) -> Mount:
    binding = {"bind", "rbind"} & set(mount.options)
    options = mount.options if binding else ("bind", *mount.options)
    return replace(mount, source=source, type="bind", options=options)


def _shared(where: str, mount: Mount, index: int, *, bundle: str, linux: Linux) -> SharedSource:
    uids, gids = mount.uid_mappings, mount.gid_mappings
    maps = _last(mount.options, ("idmap", "ridmap"))
    if maps and not uids:
        uids, gids = linux.uid_mappings, linux.gid_mappings
    if (maps and not uids) or any(option.startswith("idmap=") for option in mount.options):
        raise refusal(
            where,
            "idmap without mappings",
            "give the mount uidMappings and gidMappings, or the container a user namespace",
        )
    return SharedSource(
        index=index,
        source=posixpath.normpath(posixpath.join(bundle, mount.source)),
        destination=mount.destination,
        recursive="rbind" in mount.options,
        readonly=_last(mount.options, ("ro", "rro", "rw", "rrw")) in {"ro", "rro"},
        recursive_readonly="rro" in mount.options,
        uid_mappings=uids,
        gid_mappings=gids,
        maps_recursively=maps == "ridmap",
        follows=bool(_PROPAGATING & set(mount.options)),
    )


def _unmapped(mount: Mount) -> Mount:
    options = tuple(option for option in mount.options if option not in {"idmap", "ridmap"})
    return replace(mount, uid_mappings=(), gid_mappings=(), options=options)


def _last(options: tuple[str, ...], words: tuple[str, ...]) -> str:
    return next((option for option in reversed(options) if option in words), "")


def _propagation(where: str, mount: Mount) -> list[str]:
    asked = sorted(_OUTWARD & set(mount.options))
    if not asked:
        return []
    return [f"{where}: {asked[0]}: mounts made in the guest do not reach the host"]


def _is_procfs(mount: Mount) -> bool:
    return mount.type == "proc" and posixpath.normpath(mount.destination) == "/proc"
