"""What CreateSandbox asks for."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any

from enclos.errors import InvalidRequest, Unsupported
from enclos.plan.podspec import Dns, Pod
from enclos.shim import podconfig
from enclos.shim.proto import pod_pb2, sandbox_pb2, types_pb2

TYPE = "runtime.v1.PodSandboxConfig"


def _request(config: pod_pb2.Config, **more: object) -> sandbox_pb2.CreateSandboxRequest:
    options = Any(type_url=TYPE, value=config.SerializeToString())
    request = sandbox_pb2.CreateSandboxRequest(sandbox_id="p", options=options)
    for name, value in more.items():
        setattr(request, name, value)
    return request


def test_everything_arrives() -> None:
    config = pod_pb2.Config(
        hostname="web",
        annotations={"a": "1"},
        dns_config=pod_pb2.Dns(servers=["192.0.2.1"], searches=["s"], options=["o"]),
        linux=pod_pb2.Linux(
            cgroup_parent="/pods/p",
            sysctls={"net.ipv4.ip_forward": "1"},
            resources=pod_pb2.Resources(
                memory_limit_in_bytes=1 << 30, cpu_quota=-1, cpu_period=100000
            ),
            security_context=pod_pb2.Security(
                namespace_options=pod_pb2.Namespaces(pid=pod_pb2.NODE, ipc=pod_pb2.NODE)
            ),
        ),
    )
    assert podconfig.read(_request(config, netns_path="/run/netns/p")) == Pod(
        id="p",
        hostname="web",
        network="/run/netns/p",
        host_processes=True,
        host_ipc=True,
        cgroup_parent="/pods/p",
        memory_bytes=1 << 30,
        cpu_period=100000,
        sysctls={"net.ipv4.ip_forward": "1"},
        annotations={"a": "1"},
        dns=Dns(("192.0.2.1",), ("s",), ("o",)),
    )


def test_a_sandbox_without_a_description_has_nothing_special() -> None:
    assert podconfig.read(sandbox_pb2.CreateSandboxRequest(sandbox_id="p")) == Pod("p")


def test_what_cannot_be_is_refused_by_its_name() -> None:
    users = pod_pb2.UserNamespace(mode=pod_pb2.POD)
    spaces = pod_pb2.Namespaces(userns_options=users)
    security = pod_pb2.Security(namespace_options=spaces)
    config = pod_pb2.Config(linux=pod_pb2.Linux(security_context=security))
    with pytest.raises(Unsupported, match="user namespace"):
        podconfig.read(_request(config))
    users.mode = pod_pb2.NODE
    spaces.userns_options.mode = security.namespace_options.userns_options.mode = pod_pb2.NODE
    config.linux.security_context.CopyFrom(security)
    assert podconfig.read(_request(config)) == Pod("p")
    request = _request(pod_pb2.Config())
    request.rootfs.add().CopyFrom(types_pb2.Mount(type="bind"))
    with pytest.raises(Unsupported, match="root file system"):
        podconfig.read(request)


@pytest.mark.parametrize(("kind", "value"), [("other.Config", b""), (TYPE, b"\xff")])
def test_a_description_that_is_none_is_refused(kind: str, value: bytes) -> None:
    options = Any(type_url=kind, value=value)
    request = sandbox_pb2.CreateSandboxRequest(sandbox_id="p", options=options)
    with pytest.raises(InvalidRequest, match="sandbox options"):
        podconfig.read(request)
