"""Networks with names as `network ls` and `network inspect` show them, with docker's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from enclos.cli import complain, lookup
from enclos.cli.output import Columns
from enclos.errors import EnclosError
from enclos.plan.bridging import Endpoint, NamedNetwork
from enclos.plan.subnets import Subnet

FAILED: Final = 1
"""docker's exit status of these verbs, bad command lines apart."""
COLUMNS: Final = Columns(
    {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv6": "IPV6",
     "Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT", "Subnets": "SUBNETS"},
    ("ID", "Name", "Driver", "Scope"),
)  # fmt: skip


def status(act: Callable[[], object]) -> int:
    """Do it; the exit status, what goes wrong being complained about."""
    try:
        act()
    except (EnclosError, OSError) as error:
        complain.complain(error)
        return FAILED
    return 0


def row(network: NamedNetwork, *, truncate: bool) -> dict[str, object]:
    """One line of the listing."""
    return {
        "ID": network.id[: lookup.SHORT] if truncate else network.id,
        "Name": network.name,
        "Driver": "bridge",
        "Scope": "local",
        "IPv6": str(network.ipv6).lower(),
        "Internal": str(network.internal).lower(),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(network.labels.items())),
        "CreatedAt": network.created,
        "Subnets": ",".join(one.subnet for one in network.subnets),
    }


def described(network: NamedNetwork, members: list[Endpoint]) -> dict[str, Any]:
    """Everything about one."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [_config(one) for one in network.subnets],
        },
        "Internal": network.internal,
        "Containers": {one.container: _member(network, one) for one in members},
        "Options": {"com.docker.network.bridge.name": network.bridge},
        "Labels": network.labels,
    }


def _config(subnet: Subnet) -> dict[str, str]:
    part = {"IPRange": subnet.ip_range} if subnet.ip_range else {}
    return {"Subnet": subnet.subnet, **part, "Gateway": subnet.gateway}


def _member(network: NamedNetwork, endpoint: Endpoint) -> dict[str, str]:
    found = {"Name": endpoint.name, "MacAddress": endpoint.mac, "IPv4Address": "",
             "IPv6Address": ""}  # fmt: skip
    for subnet, address in zip(network.subnets, endpoint.addresses, strict=False):
        key = f"IPv{subnet.network.version}Address"
        found[key] = f"{address}/{subnet.network.prefixlen}"
    return found
