"""docker's --publish and --publish-all: ports of the host and of a container. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan import attachments
from enclos.plan.flagtext import bad
from enclos.wire.control import PublishedPort

MOST_PORTS: Final = 1024
_RANGE: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_WRITE: Final = "write [[IP:]HOST_PORT:]PORT[/tcp|/udp], ranges as 8000-8009:80-89"


def read(text: str) -> Iterator[PublishedPort]:
    """What one --publish says: docker's grammar; raises `InvalidRequest`."""
    body, slash, protocol = text.partition("/")
    protocol = protocol if slash else "tcp"
    if protocol not in {"tcp", "udp"}:
        raise bad("publish", text, f"{protocol[:20]!r} is not tcp or udp", hint=_WRITE)
    address, host, inner = _three(text, body)
    first, count = _range(text, inner)
    if not host:
        for number in range(first, first + count):
            yield PublishedPort(protocol, address, 0, number)
        return
    host_first, host_count = _range(text, host)
    if host_count != count:
        raise bad("publish", text, "the ranges are not of one length", hint=_WRITE)
    yield PublishedPort(protocol, address, host_first, first, count)


def _three(text: str, body: str) -> tuple[str, str, str]:
    """Address, port of the host and port, the first two perhaps empty."""
    address = ""
    if body.startswith("["):
        address, end, body = body[1:].partition("]:")
        if not end:
            raise bad("publish", text, "an address in brackets, then a colon", hint=_WRITE)
    parts = body.split(":")
    if len(parts) == 3 and not address:
        address, *parts = parts
    if len(parts) > 2:
        raise bad("publish", text, "too many colons", hint=_WRITE)
    host = parts[0] if len(parts) == 2 else ""
    return (attachments.address("publish", address) if address else ""), host, parts[-1]


def _range(text: str, ports: str) -> tuple[int, int]:
    """The first, and how many."""
    found = _RANGE.fullmatch(ports)
    if found is None:
        raise bad("publish", text, f"{ports[:40]!r} is no port", hint=_WRITE)
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 < first <= last < 1 << 16:
        raise bad("publish", text, "ports are 1 to 65535", hint=_WRITE)
    return first, last - first + 1


def exposed(told: Iterable[str], published: list[PublishedPort]) -> Iterator[PublishedPort]:
    """Those that the image exposes and nobody has published yet."""
    known = {(port.protocol, port.port + at) for port in published for at in range(port.count)}
    for text in told:
        for port in read(text):
            if (port.protocol, port.port) not in known:
                yield port


def check(ports: list[PublishedPort]) -> None:
    """Raise `InvalidRequest` for too many, and for a port of the host that leads to two."""
    if sum(port.count for port in ports) > MOST_PORTS:
        raise InvalidRequest(
            f"more than {MOST_PORTS} ports are published", hint="publish fewer, or --network host"
        )
    inner: dict[tuple[str, int], int] = {}
    for port in ports:
        for at in range(port.count if port.host_port else 0):
            place = port.protocol, port.host_port + at
            if inner.setdefault(place, port.port + at) != port.port + at:
                raise InvalidRequest(
                    f"port {place[1]}/{place[0]} of the host is published for two ports",
                    hint="choose another port of the host for one of them",
                )
