"""Traffic control, as far as one interface's packets are to come out of another.

An ingress queue with one u32 filter that matches everything and redirects it (no matchall: not
every kernel has it). A filter of ours has a priority that was free, so that removing it by that
priority removes nobody else's; an ingress queue that was there stays there.
"""

from __future__ import annotations

import errno
import struct
from typing import Final

from enclos.errors import HostUnfit
from enclos.linux.netlink import CREATE, EXCL, Netlink
from enclos.structs import dataclass
from enclos.wire.rtnetlink import attribute, nested, text

_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_NEWTFILTER, _DELTFILTER, _GETTFILTER = 44, 45, 46
_TCMSG: Final = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS = 1, 2
_INGRESS_HANDLE: Final = 0xFFFF0000
_INGRESS: Final = 0xFFFFFFF1
_INGRESS_FILTERS: Final = 0xFFFFFFF2
_ALL_PROTOCOLS: Final = 0x0300
"""ETH_P_ALL in network order."""
_U32_SEL, _U32_ACT = 5, 7
_MIRRED_PARMS: Final = 2
_MATCH_ALL: Final = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
_STOLEN, _REDIRECT = 4, 1
_FIRST_PRIORITY: Final = 0xE000
_LAST_PRIORITY: Final = 0xE100
_GONE: Final = {errno.ENOENT, errno.ENODEV, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class Redirect:
    """Packets that arrive at interface `source` leave by another; how it is found again.

    `queue` says whether the ingress queue was made for it.
    """

    source: int
    priority: int
    queue: bool


def prepare(netlink: Netlink, source: int) -> Redirect:
    """How what arrives at interface `source` is going to be redirected; only looks."""
    return Redirect(source, _free_priority(netlink, source), not _has_queue(netlink, source))


def redirect(netlink: Netlink, prepared: Redirect, target: int) -> None:
    """Send all that arrives at the interface out of interface `target`.

    Raises `HostUnfit` where the kernel lacks what it takes, else `OSError`; undo it either way.
    """
    if prepared.queue:
        _ask(netlink, _NEWQDISC, _queue(prepared.source) + text(_KIND, "ingress"))
    options = nested(_OPTIONS, attribute(_U32_SEL, _MATCH_ALL), nested(_U32_ACT, _mirred(target)))
    _ask(netlink, _NEWTFILTER, _filter(prepared) + text(_KIND, "u32") + options)


def _ask(netlink: Netlink, kind: int, body: bytes) -> None:
    try:
        netlink.request(kind, body, CREATE | EXCL)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.EOPNOTSUPP}:
            raise
        raise HostUnfit(
            f"the kernel cannot redirect packets: {error.strerror}",
            hint="load its modules: modprobe -a sch_ingress cls_u32 act_mirred",
        ) from error


def undo(netlink: Netlink, made: Redirect) -> None:
    """Remove a redirection and, if it was ours and nobody uses it, the queue; gone is done."""
    _without(netlink, _DELTFILTER, _filter(made))
    if made.queue and not _priorities(netlink, made.source):
        _without(netlink, _DELQDISC, _queue(made.source))


def _without(netlink: Netlink, kind: int, body: bytes) -> None:
    try:
        netlink.request(kind, body)
    except OSError as error:
        if error.errno not in _GONE:
            raise


def _has_queue(netlink: Netlink, index: int) -> bool:
    """Whether something is queued at the interface's ingress (clsact serves as well)."""
    for answer in netlink.dump(_GETQDISC, _TCMSG.pack(0, index, 0, 0, 0)):
        _, where, handle, _, _ = _TCMSG.unpack_from(answer)
        if where == index and handle == _INGRESS_HANDLE:
            return True
    return False


def _queue(index: int) -> bytes:
    return _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0)


def _filter(made: Redirect) -> bytes:
    info = made.priority << 16 | _ALL_PROTOCOLS
    return _TCMSG.pack(0, made.source, 0, _INGRESS_FILTERS, info)


def _priorities(netlink: Netlink, index: int) -> set[int]:
    """Priorities in use by filters of what arrives at an interface."""
    body = _TCMSG.pack(0, index, 0, _INGRESS_FILTERS, 0)
    found: set[int] = set()
    for answer in netlink.dump(_GETTFILTER, body):
        *_, info = _TCMSG.unpack_from(answer)
        found.add(info >> 16)
    return found


def _free_priority(netlink: Netlink, index: int) -> int:
    used = _priorities(netlink, index)
    for priority in range(_FIRST_PRIORITY, _LAST_PRIORITY):
        if priority not in used:
            return priority
    raise HostUnfit(
        f"interface {index} has filters at every priority from {_FIRST_PRIORITY}",
        hint="remove filters that nobody needs: tc filter show dev NAME ingress",
    )


def _mirred(target: int) -> bytes:
    parameters = struct.pack("=IIiiiiI", 0, 0, _STOLEN, 0, 0, _REDIRECT, target)
    options = nested(_OPTIONS, attribute(_MIRRED_PARMS, parameters))
    return nested(1, text(_KIND, "mirred"), options)
