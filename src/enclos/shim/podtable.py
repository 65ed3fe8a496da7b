"""The sandbox service: one row per call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from google.protobuf.message import Message

from enclos.shim import pods, podstate
from enclos.shim.calls import Method
from enclos.shim.pods import Pod
from enclos.shim.proto import sandbox_pb2

SERVICE: Final = "containerd.runtime.sandbox.v1.Sandbox"

Handler = Callable[[Pod, Any], Awaitable[Message]]

ROWS: Final[dict[str, tuple[type[Message], Handler]]] = {
    "CreateSandbox": (sandbox_pb2.CreateSandboxRequest, pods.create),
    "StartSandbox": (sandbox_pb2.StartSandboxRequest, pods.start),
    "Platform": (sandbox_pb2.PlatformRequest, podstate.platform),
    "StopSandbox": (sandbox_pb2.StopSandboxRequest, pods.stop),
    "WaitSandbox": (sandbox_pb2.WaitSandboxRequest, podstate.wait),
    "SandboxStatus": (sandbox_pb2.SandboxStatusRequest, podstate.status),
    "PingSandbox": (sandbox_pb2.PingRequest, podstate.ping),
    "ShutdownSandbox": (sandbox_pb2.ShutdownSandboxRequest, pods.shutdown),
    "SandboxMetrics": (sandbox_pb2.SandboxMetricsRequest, podstate.metrics_of),
}


def services(pod: Pod) -> dict[str, dict[str, Method]]:
    """The rows, their handlers bound to `pod`."""
    methods = {
        name: Method(request, partial(handler, pod), waits=name == "WaitSandbox")
        for name, (request, handler) in ROWS.items()
    }
    return {SERVICE: methods}
