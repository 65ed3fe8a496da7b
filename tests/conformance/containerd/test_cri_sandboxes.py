"""Pods that the shim makes, without a pause image: containerd 2 with `sandboxer = "shim"`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from enclos.shim.podtable import SERVICE
from enclos.shim.proto import sandbox_pb2
from tests.support.containerd import SANDBOXES, wait_for
from tests.support.cri import Cri, Pod, api
from tests.support.ttrpc import Client, Failed

SLEEP: Final = ("sleep", "10000")
NODE: Final = 2
EXITED: Final = 2
READY: Final = 0
NOT_READY: Final = 1


@pytest.fixture(scope="module", autouse=True)
def _new_enough(cri: Cri) -> None:
    if cri.daemon.major < 2:
        pytest.skip("containerd 2 is missing: make test-containerd2 has one")


@pytest.fixture(scope="module")
def pod(cri: Cri) -> Iterator[Pod]:
    """A pod for all tests that do not end it."""
    with cri.pod(handler=SANDBOXES) as made:
        yield made


@pytest.fixture(scope="module")
def box(pod: Pod) -> str:
    """A running container in it."""
    return pod.run(*SLEEP)


def _state(cri: Cri, pod: Pod) -> int:
    """Whether it is ready; -1 while containerd does not say."""
    try:
        return int(cri("PodSandboxStatus", pod_sandbox_id=pod.id).status.state)
    except grpc.RpcError:
        return -1


def _bundles(cri: Cri, pod: Pod) -> list[Path]:
    """The sandbox's own, which is not among those of tasks."""
    return list(cri.daemon.place.glob(f"state/*/{cri.daemon.namespace}/{pod.id}"))


def _shim(cri: Cri, pod: Pod) -> int:
    """Its process, which the pod says when it is asked for more."""
    told = cri("PodSandboxStatus", pod_sandbox_id=pod.id, verbose=True)
    return int(json.loads(told.info["info"])["shimPid"])


def test_the_machine_is_all_there_is(cri: Cri, pod: Pod, box: str) -> None:
    status = cri("PodSandboxStatus", pod_sandbox_id=pod.id).status
    assert (status.state, status.runtime_handler) == (0, SANDBOXES)
    assert status.network.ip.startswith("10.77.0.")
    tasks = cri.daemon.tasks()
    assert box in tasks
    assert pod.id not in tasks
    (bundle,) = _bundles(cri, pod)
    assert not (bundle / "config.json").exists()


def test_a_container_finds_what_the_pod_says(cri: Cri, pod: Pod, box: str) -> None:
    address = cri("PodSandboxStatus", pod_sandbox_id=pod.id).status.network.ip
    assert f"inet {address}/24" in pod.exec(box, "ip", "addr", "show", "eth0")[1]
    assert pod.exec(box, "cat", "/etc/hostname")[1] == f"{pod.config.hostname}\n"
    assert pod.exec(box, "hostname")[1] == f"{pod.config.hostname}\n"
    resolver = pod.exec(box, "cat", "/etc/resolv.conf")[1]
    assert resolver == "search example.org\nnameserver 192.0.2.1\n"
    assert pod.exec(box, "test", "-f", "/etc/hosts")[0] == 0


def test_containers_share_the_machine_and_its_namespaces(pod: Pod, box: str) -> None:
    other = pod.run("nc", "-ll", "-p", "4321", "-e", "echo", "hello")
    wait_for(lambda: "hello" in pod.exec(box, "nc", "127.0.0.1", "4321")[1], str)
    for kind in ("net", "ipc", "uts"):
        link = ("readlink", f"/proc/self/ns/{kind}")
        assert pod.exec(box, *link) == pod.exec(other, *link)
    assert pod.exec(box, "touch", "/dev/shm/shared")[0] == 0
    assert pod.exec(other, "ls", "/dev/shm")[1] == "shared\n"
    pod.cri("StopContainer", container_id=other, timeout=0)
    wait_for(lambda: pod.status(other).state == EXITED, pod.cri.daemon.log)
    pod.cri("RemoveContainer", container_id=other)
    assert pod.exec(box, "true")[0] == 0


def test_figures(cri: Cri, pod: Pod, box: str) -> None:
    assert cri("ContainerStats", container_id=box).stats.cpu.usage_core_nano_seconds.value > 0
    told = cri("PodSandboxStats", pod_sandbox_id=pod.id).stats
    assert told.attributes.id == pod.id
    assert told.linux.memory.usage_bytes.value > 0


def test_calls_that_nobody_makes_here(cri: Cri, pod: Pod, box: str) -> None:
    """The pod's figures are more than one container's; what is there answers."""
    del box
    (bundle,) = _bundles(cri, pod)
    path = Path((bundle / "address").read_text().removeprefix("unix://"))
    with closing(Client.dial(path)) as client:
        asked = sandbox_pb2.PingRequest(sandbox_id=pod.id)
        client.call(SERVICE, "PingSandbox", asked, sandbox_pb2.PingResponse)
        request = sandbox_pb2.SandboxMetricsRequest(sandbox_id=pod.id)
        told = client.call(SERVICE, "SandboxMetrics", request, sandbox_pb2.SandboxMetricsResponse)
        assert told.metrics.id == pod.id
        assert told.metrics.data.type_url.endswith(".Metrics")
        assert len(told.metrics.data.value) > 20
        again = sandbox_pb2.StartSandboxRequest(sandbox_id=pod.id)
        with pytest.raises(Failed, match=r"code 9: sandbox \w+ cannot be started again"):
            client.call(SERVICE, "StartSandbox", again, sandbox_pb2.StartSandboxResponse)


def test_containerd_is_killed_and_finds_the_pod_again(cri: Cri, pod: Pod, box: str) -> None:
    shim = _shim(cri, pod)
    cri.daemon.stop(signal.SIGKILL)
    cri.daemon.start()
    wait_for(lambda: _state(cri, pod) == READY, cri.daemon.log)
    assert _shim(cri, pod) == shim
    assert pod.exec(box, "echo", "back")[1] == "back\n"


def test_shared_processes_and_an_annotation(cri: Cri) -> None:
    """The placeholder is everybody's init; the machine has what the annotation asks for."""
    options = api.NamespaceOption(pid=0)
    inside = api.LinuxContainerSecurityContext(namespace_options=options)
    asked = {"io.enclos.memory": "1GiB"}
    context = api.LinuxSandboxSecurityContext(namespace_options=options)
    with cri.pod(handler=SANDBOXES, annotations=asked, security_context=context) as pod:
        one = pod.run("sleep", "4321", security=inside)
        listed = pod.exec(one, "ps", "-o", "pid,args")[1]
        assert "    1 /busybox sh -c" in listed
        assert "sleep 4321" in listed
        memory = pod.exec(one, "awk", "/MemTotal/ {print $2}", "/proc/meminfo")[1]
        assert (768 << 10) < int(memory) < (1 << 20)


def test_a_pod_that_cannot_be_says_why(cri: Cri) -> None:
    refused = r"annotation io\.enclos\.vcpus is not allowed on this host"
    asked: dict[str, Any] = {"annotations": {"io.enclos.vcpus": "2"}, "handler": SANDBOXES}
    with pytest.raises(grpc.RpcError, match=refused), cri.pod(**asked):
        pytest.fail("it runs")


def test_the_shim_is_killed(cri: Cri) -> None:
    with cri.pod(handler=SANDBOXES) as pod:
        name = pod.run(*SLEEP)
        os.kill(_shim(cri, pod), signal.SIGKILL)
        wait_for(lambda: _state(cri, pod) == NOT_READY, cri.daemon.log)
        wait_for(lambda: pod.status(name).state == EXITED, cri.daemon.log)
        assert pod.status(name).exit_code != 0


def test_a_pod_that_is_stopped_and_removed_leaves_nothing(cri: Cri) -> None:
    with cri.pod(handler=SANDBOXES) as pod:
        name = pod.run(*SLEEP)
        cri("StopPodSandbox", pod_sandbox_id=pod.id)
        assert pod.status(name).state == EXITED
        assert _state(cri, pod) == NOT_READY
    assert pod.id not in [one.id for one in cri("ListPodSandbox").items]
    assert not _bundles(cri, pod)
    assert not cri.daemon.bundle(name).exists()
