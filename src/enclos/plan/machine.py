"""How big the virtual machine has to be for what its containers may use. PURE.

The guest's cgroups carry the exact limits; the machine is made large enough for a container to
reach them, so that it is the container that runs out of memory and not the guest. Memory comes
in two parts: what the template was saved with, and blocks plugged after its restore.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Protocol

from enclos.config.settings import Settings
from enclos.errors import InvalidRequest
from enclos.oci.resources import Cpu, Resources
from enclos.oci.rules_resources import cpu_list
from enclos.plan.wishes import NOTHING, Wishes
from enclos.structs import dataclass

MEMORY_BLOCK_BYTES: Final = 128 << 20
"""What the guest's kernel takes online at once (x86-64, less than 64 GiB)."""
OVERHEAD_BYTES: Final = 128 << 20
"""Kernel, initrd, agent, crun, page tables and buffers of a guest, with room to breathe."""
PAGE_TABLE_SHARE: Final = 64
"""A page of 4096 bytes has 64 bytes of `struct page`."""
DOCKER_LEAST_BYTES: Final = 6 << 20
GROWS_TO: Final = 8
"""CPUs of a machine that others may join, switched off until limits ask for them: each costs some
memory of the guest's from the start."""
_DEFAULT_PERIOD_US: Final = 100_000


class Host(Protocol):
    """The host's facts that a machine's size depends on."""

    @property
    def cores(self) -> int:
        """How many CPUs may be used."""
        ...

    @property
    def memory_bytes(self) -> int:
        """All of the host's memory."""
        ...


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A machine's size, how its kernel is started and whether from a template.

    `spare_vcpus` are there beside the `vcpus`, switched off. `notes` say where it is not what was
    asked for, and why.
    """

    base_memory_bytes: int
    hotplug_bytes: int
    vcpus: int
    notes: tuple[str, ...] = ()
    kernel_arguments: str = ""
    template: bool = True
    spare_vcpus: int = 0

    @property
    def memory_bytes(self) -> int:
        """All of its memory."""
        return self.base_memory_bytes + self.hotplug_bytes


def plan_machine(
    resources: Resources | None,
    *,
    settings: Settings,
    host: Host,
    wishes: Wishes = NOTHING,
    grows: bool = False,
) -> MachinePlan:
    """The machine for a container with these limits, at least as large as its annotations ask.

    It has CPUs in reserve if it `grows`.
    """
    limits = resources or Resources()
    limit = limits.memory.limit if limits.memory is not None else None
    most = settings.max_memory_bytes or host.memory_bytes
    needed = max(wishes.memory, with_overhead(limit) if limit and limit > 0 else 0)
    wanted = needed or settings.default_memory_bytes
    base = settings.base_memory_bytes
    hotplug = _blocks(wanted - base) if wanted <= most else _whole_blocks(most - base)
    vcpus, cpu_notes = _vcpus(limits.cpu or Cpu(), wishes.vcpus, settings=settings, host=host)
    arguments = f"{settings.kernel_arguments} {wishes.kernel_arguments}".strip()
    return MachinePlan(
        base,
        hotplug,
        vcpus,
        (*_memory_notes(limit, needed, most), *cpu_notes),
        kernel_arguments=arguments,
        template=settings.template if wishes.template is None else wishes.template,
        spare_vcpus=max(0, min(_most_vcpus(settings, host), GROWS_TO) - vcpus) if grows else 0,
    )


def grown(limits: Iterable[int | None], now_bytes: int, *, settings: Settings, host: Host) -> int:
    """The memory of a machine of `now_bytes` in which all containers can reach their limits.

    A machine never shrinks; a container without a limit takes what there is.
    """
    total = sum(limit for limit in limits if limit and limit > 0)
    most = settings.max_memory_bytes or host.memory_bytes
    base = settings.base_memory_bytes
    wanted = with_overhead(total)
    hotplug = _blocks(wanted - base) if wanted <= most else _whole_blocks(most - base)
    return max(now_bytes, base + hotplug if total else 0)


def grown_vcpus(cpus: Iterable[Cpu | None], now: int, *, settings: Settings, host: Host) -> int:
    """How many CPUs a machine of `now` needs for what all its containers together may use.

    None are taken away; a container without a limit takes what there is.
    """
    listed = [cpu for cpu in cpus if cpu is not None]
    alone = [_vcpus(cpu, 0, settings=settings, host=host)[0] for cpu in listed if _bounded(cpu)]
    period = math.lcm(*(cpu.period or _DEFAULT_PERIOD_US for cpu in listed))
    used = sum(_quota(cpu) * (period // (cpu.period or _DEFAULT_PERIOD_US)) for cpu in listed)
    wanted = max(*alone, -(-used // period), 1)
    return max(now, min(wanted, _most_vcpus(settings, host)))


def with_overhead(limit_bytes: int) -> int:
    """The memory of a machine in which a container can use `limit_bytes`."""
    return limit_bytes + limit_bytes // PAGE_TABLE_SHARE + OVERHEAD_BYTES


def check_docker_minimum(limit_bytes: int) -> None:
    """Raises `InvalidRequest` for a memory limit that docker would refuse, too; 0 is none."""
    if 0 < limit_bytes < DOCKER_LEAST_BYTES:
        raise InvalidRequest(
            f"memory limit of {limit_bytes} bytes: minimum memory limit allowed is 6MB",
            hint="give -m 6M or more",
        )


def _blocks(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return max(0, -(-size // MEMORY_BLOCK_BYTES) * MEMORY_BLOCK_BYTES)


def _whole_blocks(size: int) -> int:
    """`size` rounded down to whole blocks."""
    return max(0, size // MEMORY_BLOCK_BYTES * MEMORY_BLOCK_BYTES)


def _memory_notes(limit: int | None, needed: int, most: int) -> tuple[str, ...]:
    if needed <= most:
        return ()
    what = f"memory limit of {limit} bytes" if limit and limit > 0 else f"memory of {needed} bytes"
    return (f"{what}: the machine gets no more than {most}",)


def _vcpus(cpu: Cpu, least: int, *, settings: Settings, host: Host) -> tuple[int, tuple[str, ...]]:
    """How many, and what to say about it. A cpuset is a bound on what a quota asks for."""
    quota = _quota(cpu) or None
    pinned = len(cpu_list(cpu.cpus)) if cpu.cpus else None
    by_quota = -(-quota // (cpu.period or _DEFAULT_PERIOD_US)) if quota else None
    given = [count for count in (by_quota, pinned) if count is not None]
    wanted = max(least, min(given)) if given else least or settings.default_vcpus
    most = _most_vcpus(settings, host)
    if wanted <= most:
        return max(1, wanted), ()
    return most, (f"{wanted} CPUs: the machine gets no more than {most}",)


def _most_vcpus(settings: Settings, host: Host) -> int:
    return min(settings.max_vcpus or host.cores, host.cores)


def _quota(cpu: Cpu) -> int:
    """Microseconds of each period; 0 for no limit."""
    return cpu.quota if cpu.quota and cpu.quota > 0 else 0


def _bounded(cpu: Cpu) -> bool:
    return bool(_quota(cpu) or cpu.cpus)
