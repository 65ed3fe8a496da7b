"""What a container asks of each network with a name that it is in. PURE.

docker's two ways of writing it: a name, or `name=NET,ip=…,ip6=…,alias=…,mac-address=…`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan.flagtext import bad
from enclos.structs import dataclass

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?", re.ASCII)
_MULTICAST: Final = 1
_WRITE: Final = "write NETWORK or name=NETWORK[,ip=A][,ip6=A][,alias=NAME][,mac-address=M]"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A place in the network called `network`; empty means that any will do."""

    network: str
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    mac: str = ""


def read(text: str) -> Attachment:
    """What one --network says; raises `InvalidRequest`. The network's name is not looked at."""
    if "=" not in text:
        return Attachment(text)
    found: dict[str, list[str]] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in {"name", "ip", "ip6", "alias", "mac-address"}:
            raise bad("network", text, f"{part[:40]!r} is nothing it can say", hint=_WRITE)
        found.setdefault(key, []).append(value)
    for key, values in found.items():
        if key != "alias" and len(values) > 1:
            raise bad("network", text, f"{key} is there {len(values)} times", hint=_WRITE)
    once = {key: values[0] for key, values in found.items()}
    if not once.get("name"):
        raise bad("network", text, "there is no name", hint=_WRITE)
    return Attachment(
        once["name"],
        addresses(once.get("ip", ""), once.get("ip6", "")),
        tuple(alias("network", one) for one in found.get("alias", ())),
        hardware("network", once.get("mac-address", "")),
    )


def addresses(ip: str, ip6: str) -> tuple[str, ...]:
    """What --ip and --ip6 say, or nothing; raises `InvalidRequest` naming the flag."""
    found: list[str] = []
    for flag, text, version in (("ip", ip, 4), ("ip6", ip6, 6)):
        if text:
            found.append(address(flag, text))
            if ipaddress.ip_address(text).version != version:
                raise bad(flag, text, f"it is no address of IPv{version}")
    return tuple(found)


def check_apart(asked: Sequence[Attachment]) -> None:
    """Raise `InvalidRequest` for a network that is named twice."""
    names = [one.network for one in asked]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequest(
                f"network {name[:80]!r} is specified multiple times", hint="name each one once"
            )


def address(flag: str, text: str) -> str:
    """An IP address as it is usually written; raises `InvalidRequest` naming the flag."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise bad(flag, text, f"{text[:60]!r} is no IP address") from error


def alias(flag: str, text: str) -> str:
    """A host's name; raises `InvalidRequest` naming the flag."""
    if not is_host(text):
        raise bad(flag, text, f"{text[:60]!r} is no name of a host")
    return text


def is_host(text: str) -> bool:
    """Whether it is a host's name."""
    return _HOST.fullmatch(text) is not None


def hardware(flag: str, text: str) -> str:
    """A hardware address with colons, or nothing; raises `InvalidRequest` naming the flag."""
    plain = text.lower().replace("-", ":")
    if text and (not _MAC.fullmatch(plain) or int(plain[:2], 16) & _MULTICAST):
        raise bad(flag, text, "it is no hardware address of one interface")
    return plain
