from __future__ import annotations

import pytest

from enclos.errors import InvalidRequest
from enclos.hypervisor.qemu.argv import ROOT_PORTS
from enclos.hypervisor.qemu.ports import Ports


def test_disks_and_interfaces_never_meet() -> None:
    ports = Ports()
    taken = [ports.take("disk", last=True) for _ in range(ROOT_PORTS // 2)]
    taken += [ports.take("network interface") for _ in range(ROOT_PORTS - len(taken))]
    assert sorted(taken) == list(range(ROOT_PORTS))
    with pytest.raises(InvalidRequest, match=f"one more disk: it has {ROOT_PORTS} slots"):
        ports.take("disk")
    ports.give_back(taken[3])
    assert ports.take("network interface") == taken[3]
