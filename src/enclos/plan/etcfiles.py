"""The files that a container gets from its runtime: hosts, hostname, resolv.conf. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from enclos.oci.types import Mount
from enclos.plan import uplink
from enclos.plan.runnetwork import Mode
from enclos.plan.runoptions import Surroundings
from enclos.structs import dataclass

_NAMES: Final = ("resolv.conf", "hostname", "hosts")
_LOOPBACK: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


@dataclass(frozen=True, slots=True)
class EtcFile:
    """One file: its name below the container's directory, and its text."""

    name: str
    text: str


def etc_files(hostname: str, found: Surroundings) -> tuple[EtcFile, ...]:
    """All three files for a container of this name."""
    own = uplink.ADDRESS if found.network is Mode.BRIDGE else "127.0.1.1"
    named = "" if found.hosts_base else hostname
    texts = (
        found.resolv_conf,
        f"{hostname}\n",
        hosts(named, (own,), found.hosts, base=found.hosts_base),
    )
    return tuple(EtcFile(file, text) for file, text in zip(_NAMES, texts, strict=True))


def hosts(hostname: str, addresses: Iterable[str], others: Iterable[str], *, base: str = "") -> str:
    """A hosts file: `base`, lines about `others`, and whose the `addresses` are, if anybody's."""
    own = (f"{address}\t{hostname}" for address in addresses if hostname)
    return (base or _LOOPBACK) + "".join(f"{line}\n" for line in (*others, *own))


def etc_mounts(home: str, targets: set[str], *, readonly: bool) -> Iterator[Mount]:
    """Mounts of the files, except where the user mounts something else."""
    for name in _NAMES:
        target = f"/etc/{name}"
        if target not in targets and "/etc" not in targets:
            words = ("rbind", "rprivate", "ro") if readonly else ("rbind", "rprivate")
            yield Mount(target, "bind", f"{home}/{name}", words)
