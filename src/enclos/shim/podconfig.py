"""What CreateSandbox asks for, from the kubelet's message to what is planned."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from enclos.errors import InvalidRequest, Unsupported
from enclos.plan.podspec import Dns, Pod
from enclos.shim.proto import pod_pb2, sandbox_pb2

_TYPE: Final = "runtime.v1.PodSandboxConfig"
_PREFIX: Final = "type.googleapis.com/"


def read(request: sandbox_pb2.CreateSandboxRequest) -> Pod:
    """The pod; raises `InvalidRequest`, `Unsupported` for what a pod of ours cannot have."""
    if request.rootfs:
        raise Unsupported(
            "a sandbox with a root file system: it is a virtual machine",
            hint="have the containers mount theirs",
        )
    config = _config(request)
    asked = config.linux.security_context.namespace_options
    if asked.HasField("userns_options") and asked.userns_options.mode == pod_pb2.POD:
        raise Unsupported(
            "a user namespace for a whole pod is not supported",
            hint='leave hostUsers away: the pod has a kernel of its own; or use "podsandbox"',
        )
    linux, limits = config.linux, config.linux.resources
    dns = config.dns_config
    return Pod(
        id=request.sandbox_id,
        hostname=config.hostname,
        network=request.netns_path,
        host_processes=asked.pid == pod_pb2.NODE,
        host_ipc=asked.ipc == pod_pb2.NODE,
        cgroup_parent=linux.cgroup_parent,
        memory_bytes=max(0, limits.memory_limit_in_bytes),
        cpu_quota=max(0, limits.cpu_quota),
        cpu_period=max(0, limits.cpu_period),
        sysctls=dict(linux.sysctls),
        annotations={**config.annotations, **request.annotations},
        dns=Dns(tuple(dns.servers), tuple(dns.searches), tuple(dns.options)),
    )


def _config(request: sandbox_pb2.CreateSandboxRequest) -> pod_pb2.Config:
    kind = request.options.type_url.removeprefix(_PREFIX)
    if not kind:
        return pod_pb2.Config()
    if kind != _TYPE:
        raise InvalidRequest(
            f"sandbox options of type {kind[:80]}", hint=f"they are to be a {_TYPE}"
        )
    try:
        return pod_pb2.Config.FromString(request.options.value)
    except DecodeError as error:
        raise InvalidRequest(f"sandbox options: {error}") from error
