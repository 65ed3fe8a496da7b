"""The sandbox service's questions: what runs in a pod without a container, and how it is."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Final

from enclos.errors import WrongState
from enclos.sandbox import figures
from enclos.shim import metrics
from enclos.shim.events import packed
from enclos.shim.pods import Pod
from enclos.shim.proto import metrics1_pb2, metrics2_pb2, sandbox_pb2, types_pb2
from enclos.shim.tasks import Shim
from enclos.storage.architecture import host_architecture
from enclos.wire import control as c
from enclos.wire import messages as m

_READY: Final = "SANDBOX_READY"
_NOT_READY: Final = "SANDBOX_NOTREADY"


async def platform(pod: Pod, request: sandbox_pb2.PlatformRequest) -> sandbox_pb2.PlatformResponse:
    """What runs in there."""
    pod.check(request.sandbox_id)
    told = types_pb2.Platform(os="linux", architecture=host_architecture())
    return sandbox_pb2.PlatformResponse(platform=told)


async def wait(
    pod: Pod, request: sandbox_pb2.WaitSandboxRequest
) -> sandbox_pb2.WaitSandboxResponse:
    """How it ended, once it has."""
    pod.check(request.sandbox_id)
    proc = pod.the_task().init
    await proc.over.wait()
    answer = sandbox_pb2.WaitSandboxResponse()
    proc.tell_end(answer)
    return answer


async def status(
    pod: Pod, request: sandbox_pb2.SandboxStatusRequest
) -> sandbox_pb2.SandboxStatusResponse:
    """Whether it runs, and as whom containers find its namespaces."""
    pod.check(request.sandbox_id)
    answer = sandbox_pb2.SandboxStatusResponse(
        sandbox_id=pod.id, state=_READY if pod.runs else _NOT_READY
    )
    if pod.task is not None:
        proc = pod.task.init
        answer.pid = proc.pid
        answer.created_at.FromNanoseconds(proc.began_ns)
        if proc.exit is not None:
            answer.exited_at.FromNanoseconds(proc.exit.time_ns)
    if request.verbose and pod.shim is not None:
        answer.info["info"] = json.dumps(await _info(pod.shim))
    return answer


async def _info(shim: Shim) -> dict[str, Any]:
    found = await figures.status(shim.sandbox, m.Nothing())
    return {
        "shimPid": os.getpid(),
        "accelerator": found.accelerator,
        "kernel": found.kernel,
        "memoryBytes": found.memory_bytes,
        "vcpus": found.vcpus,
    }


async def ping(pod: Pod, request: sandbox_pb2.PingRequest) -> sandbox_pb2.PingResponse:
    """Whether it is there and has not ended."""
    pod.check(request.sandbox_id)
    if pod.shim is not None:
        pod.shim.check_alive()
    return sandbox_pb2.PingResponse()


async def metrics_of(
    pod: Pod, request: sandbox_pb2.SandboxMetricsRequest
) -> sandbox_pb2.SandboxMetricsResponse:
    """The sums of what its containers use in the guest."""
    pod.check(request.sandbox_id)
    shim = pod.shim
    if shim is None:
        raise WrongState(f"sandbox {pod.id} has not been created")
    shim.check_alive()
    running = [task.id for task in shim.tasks.values() if task.init.exit is None]
    found = [(await figures.stats(shim.sandbox, c.Named(name))).files for name in running]
    told = [metrics.version2(one) if shim.unified else metrics.version1(one) for one in found]
    kind = metrics2_pb2.Metrics if shim.unified else metrics1_pb2.Metrics
    metric = types_pb2.Metric(id=pod.id, data=packed(metrics.total(kind, told)))
    metric.timestamp.FromNanoseconds(time.time_ns())
    return sandbox_pb2.SandboxMetricsResponse(metrics=metric)
