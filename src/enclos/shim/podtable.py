"""The sandbox service: one row per call."""

from __future__ import annotations

from typing import Final

from enclos.shim import calls, pods, podstate
from enclos.shim.calls import Method, Rows
from enclos.shim.pods import Pod
from enclos.shim.proto import sandbox_pb2

SERVICE: Final = "containerd.runtime.sandbox.v1.Sandbox"

ROWS: Final[Rows] = {
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
    return {SERVICE: calls.bind(ROWS, pod, waiting="WaitSandbox")}
