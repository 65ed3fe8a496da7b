"""The sandbox service: pods of which the virtual machine is all there is, without a pause image.

containerd 2 asks for it where a handler of its CRI plugin has `sandboxer = "shim"`. The shim
waits, its machine unplanned, for CreateSandbox; from StartSandbox on a placeholder of ours holds
the namespaces that containers join. For containerd it is no task, and tells no events.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enclos.errors import Exists, NotFound, TimedOut, WrongState
from enclos.linux import files
from enclos.plan import podspec
from enclos.sandbox import create as creation
from enclos.sandbox import delete as deletion
from enclos.sandbox import ending, release
from enclos.sandbox.newcontainer import NewContainer, Prepared
from enclos.sandbox.supervisor import Start
from enclos.shim import bundles, children, lifecycle, podconfig, rootfs, stdio
from enclos.shim.proto import sandbox_pb2
from enclos.shim.stdio import Names
from enclos.shim.tasks import Proc, Shim, Task
from enclos.structs import dataclass
from enclos.wire.control import Channels

if TYPE_CHECKING:
    from enclos.sandbox.place import Place

HOME: Final = "etc"
"""In the bundle: the files that containers find in /etc."""
_ETC_BYTES: Final = 1 << 20
_OVER_S: Final = 60

Planned = tuple[Prepared, Start]


def _future() -> asyncio.Future[Planned | None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Pod:
    """A sandbox from `start` on. `planned` is set by CreateSandbox, to None if it will not come;
    `shim` is there once the machine is under way, which `served` tells; `task` is the placeholder.
    `gone` is set when the machine has ended and holds nothing any more."""

    id: str
    bundle: Path
    place: Place
    planned: asyncio.Future[Planned | None] = field(default_factory=_future)
    served: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    shim: Shim | None = None
    task: Task | None = None

    def check(self, name: str) -> None:
        """Raises `NotFound` for another one's name."""
        if name != self.id:
            raise NotFound(f"sandbox {name}: there is {self.id} here")

    def the_task(self) -> Task:
        """The placeholder of a pod that has been started; raises `WrongState`."""
        if self.task is None:
            raise WrongState(f"sandbox {self.id} has not been started")
        return self.task

    @property
    def runs(self) -> bool:
        """Whether it has been started and has not ended."""
        if self.task is None or self.shim is None:
            return False
        return self.task.init.started and self.task.init.exit is None


async def create(
    pod: Pod, request: sandbox_pb2.CreateSandboxRequest
) -> sandbox_pb2.CreateSandboxResponse:
    """Plan the pod's machine and have it started; what cannot be is refused here."""
    pod.check(request.sandbox_id)
    if pod.planned.done():
        raise Exists(f"sandbox {pod.id} already exists")
    asked = podconfig.read(request)
    _write_etc(pod, asked)
    busybox = pod.place.assets().tool_root / podspec.BUSYBOX
    spec = podspec.placeholder(asked, os.fspath(busybox))
    new = NewContainer(
        id=pod.id,
        bundle=pod.bundle,
        spec=spec,
        channels=Channels(),
        owner="root",
        manager=bundles.manager(spec),
    )
    plan = creation.plan_of(pod.place, new)
    pod.planned.set_result(creation.prepare_here(pod.place, new, plan))
    return sandbox_pb2.CreateSandboxResponse()


def _write_etc(pod: Pod, asked: podspec.Pod) -> None:
    host = {name: _host_file(name) for name in ("hosts", "resolv.conf")}
    home = pod.bundle / HOME
    home.mkdir(mode=0o755, exist_ok=True)
    for file in podspec.etc_files(
        asked,
        hostname=os.uname().nodename,
        hosts=host["hosts"],
        resolv_conf=host["resolv.conf"],
    ):
        files.write_atomic(home / file.name, file.text.encode(), mode=0o644)


def _host_file(name: str) -> str:
    """One of the host's own files of /etc; empty if it has none."""
    try:
        return files.read_bounded(Path("/etc") / name, _ETC_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


async def start(
    pod: Pod, request: sandbox_pb2.StartSandboxRequest
) -> sandbox_pb2.StartSandboxResponse:
    """Wait for the machine, and put the placeholder into it."""
    pod.check(request.sandbox_id)
    if not pod.planned.done():
        raise WrongState(f"sandbox {pod.id} has not been created")
    await pod.served.wait()
    shim = pod.shim
    if shim is None or pod.task is not None:
        raise WrongState(f"sandbox {pod.id} cannot be started again")
    with stdio.opened(Names(), environment={}) as streams:
        task = pod.task = Task(pod.id, pod.bundle, Proc(pod.id, "", streams), hidden=True)
        shim.add(task)
        async with task.init.busy:
            await lifecycle.make(shim, task, [])
            await lifecycle.run_init(shim, task)
            task.init.started = True
    answer = sandbox_pb2.StartSandboxResponse(pid=task.init.pid)
    answer.created_at.FromNanoseconds(task.init.began_ns)
    return answer


async def stop(
    pod: Pod, request: sandbox_pb2.StopSandboxRequest
) -> sandbox_pb2.StopSandboxResponse:
    """End the machine with all that runs in it; when this is answered nothing of it is left that
    would hold the pod's network."""
    pod.check(request.sandbox_id)
    await _end(pod, timeout_s=request.timeout_secs or _OVER_S)
    return sandbox_pb2.StopSandboxResponse()


async def _end(pod: Pod, *, timeout_s: int) -> None:
    """Raises `TimedOut`."""
    if pod.shim is None:
        return
    await ending.conclude(pod.shim.sandbox)
    try:
        async with asyncio.timeout(timeout_s):
            await pod.gone.wait()
            if pod.task is not None and pod.task.init.live is not None:
                await pod.task.init.over.wait()
    except TimeoutError as error:
        raise TimedOut(f"sandbox {pod.id} does not end within {timeout_s} s") from error


async def shutdown(
    pod: Pod, request: sandbox_pb2.ShutdownSandboxRequest
) -> sandbox_pb2.ShutdownSandboxResponse:
    """End whatever still runs, forget all containers, and let the shim end."""
    pod.check(request.sandbox_id)
    if not pod.planned.done():
        pod.planned.set_result(None)
    elif pod.planned.result() is not None:
        await pod.served.wait()
    if pod.shim is not None:
        await _end(pod, timeout_s=_OVER_S)
        await _forget(pod, pod.shim)
        pod.shim.over.set()
    return sandbox_pb2.ShutdownSandboxResponse()


async def _forget(pod: Pod, shim: Shim) -> None:
    """The placeholder, and containers that nobody will delete any more."""

    root = shim.place.root

    def body() -> str:
        for task in shim.tasks.values():
            deletion.delete(root, task.id, force=True)
            rootfs.unmount(task.bundle)
        release.container(root, pod.id)
        return ""

    await children.run(shim, body)
    for task in shim.tasks.values():
        for proc in (task.init, *task.execs.values()):
            proc.streams.close()
    shim.tasks.clear()
