"""Where a front end works: state root, settings, host facts; and the boot plans they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from enclos import log
from enclos.assets import build
from enclos.assets.store import Assets
from enclos.config import facts
from enclos.config.facts import HostFacts
from enclos.config.settings import Settings
from enclos.errors import HostUnfit
from enclos.hypervisor.qemu import template
from enclos.hypervisor.qemu.argv import Board
from enclos.plan.machine import MachinePlan
from enclos.sandbox import accelerate
from enclos.sandbox.boot import BootPlan
from enclos.sandbox.supervisor import Start
from enclos.state.store import StateRoot
from enclos.structs import dataclass

_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Place:
    """What every verb of a front end starts from."""

    root: StateRoot
    settings: Settings
    host: HostFacts

    @property
    def templates(self) -> Path:
        """Where templates are kept."""
        return self.settings.data_root / "templates"

    def assets(self) -> Assets:
        """The assets in force, their agent brought up to date with this code.

        Raises `HostUnfit` if there are none or a file is damaged.
        """
        return build.ensure(self.settings.data_root, allow_build=False, report=log.info)

    def board(
        self, accelerator: str, vcpus: int, *, kernel_arguments: str = "", spare_vcpus: int = 0
    ) -> Board:
        """The machine of all sandboxes with so many CPUs: a template serves them all.

        Other arguments of the kernel make it another machine.
        """
        limit = self.settings.max_memory_bytes or self.host.memory_bytes
        whole = -(-limit // _GIB) * _GIB
        return Board(
            accelerator=accelerator,
            base_memory_bytes=self.settings.base_memory_bytes,
            hotplug_memory_bytes=whole,
            vcpus=vcpus,
            extra_command_line=kernel_arguments or self.settings.kernel_arguments,
            spare_vcpus=spare_vcpus,
        )

    def plan(
        self,
        machine: MachinePlan,
        directory: Path,
        *,
        hostname: str,
        cgroup: str,
        use_template: bool,
    ) -> Start:
        """How a sandbox of this size is to be booted; its id is the directory's name.

        May boot a guest to find out whether KVM works, the first time on a host.
        """
        assets = self.assets()
        accelerator = accelerate.choose(self.settings, self.host, assets)
        board = self.board(
            accelerator,
            machine.vcpus,
            kernel_arguments=machine.kernel_arguments,
            spare_vcpus=machine.spare_vcpus,
        )
        own_tools = self.settings.tool_root
        plan = BootPlan(
            id=directory.name,
            directory=directory,
            tool_root=Path(own_tools) if own_tools else assets.tool_root,
            kernel=assets.vmlinux,
            initrd=assets.initrd,
            agent_version=assets.agent_version,
            board=board,
            template=None,
            memory_bytes=machine.memory_bytes,
            vcpus=machine.vcpus,
            cgroup=cgroup,
            hostname=hostname,
            boot_timeout_s=self.settings.boot_timeout_s,
            agent_timeout_s=self.settings.agent_timeout_s,
        )
        wanted = use_template and machine.template
        key = template.key_of(board, assets.key, self.host.cpu) if wanted else ""
        return Start(plan, self.root, self.templates, key)


def open_place(settings: Settings, *, root: Path | None = None) -> Place:
    """The place that `settings` describe; raises `HostUnfit` for anybody but root."""
    host = facts.gather()
    if host.euid != 0:
        raise HostUnfit("Enclos needs root", hint="run it as root: sudo enclos …")
    return Place(StateRoot(root or settings.state_root), settings, host)
