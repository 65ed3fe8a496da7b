"""`port`: list where a container's published ports are reached."""

from __future__ import annotations

from enclos.cli import lookup, memberships, output, portlist
from enclos.cli.home import open_home
from enclos.cli.parse import Parsed
from enclos.errors import InvalidRequest, NotFound


def run(asked: Parsed) -> int:
    """All of them, or the one that is named."""
    name, *rest = asked.operands
    home = open_home()
    container = lookup.find(home, name)
    ports = memberships.published(home, container.defined(), running=container.running)
    found = [
        (f"{port.port}/{port.protocol}", portlist.place(address, number))
        for port, address, number in portlist.each(ports)
    ]
    if not rest:
        output.write("".join(f"{inner} -> {outer}\n" for inner, outer in found))
        return 0
    wanted = _wanted(rest[0])
    places = [outer for inner, outer in found if inner == wanted]
    if not places:
        raise NotFound(
            f"no public port {wanted!r} published for {container.name}",
            hint=f"see which are: enclos port {container.name}",
        )
    output.write("".join(f"{place}\n" for place in places))
    return 0


def _wanted(text: str) -> str:
    number, slash, protocol = text.partition("/")
    if not (number.isdecimal() and number.isascii()) or (slash and protocol not in {"tcp", "udp"}):
        raise InvalidRequest(f"{text[:40]!r} is no port", hint="write PORT or PORT/udp")
    return f"{int(number)}/{protocol or 'tcp'}"
