"""Kubernetes' side: pods by containerd's CRI plugin, its calls made as the kubelet makes them.

The daemon has `enclos setup containerd` in its configuration, a network of its own by CNI's
plugins, and no kubelet above it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.support import channels
from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api

SLEEP: Final = ("sleep", "10000")
RUNNING: Final = 1
EXITED: Final = 2
CONTAINER: Final = 1
TARGET: Final = 3


@pytest.fixture(scope="module")
def pod(cri: Cri) -> Iterator[Pod]:
    """A pod for all tests that do not end it."""
    with cri.pod() as made:
        yield made


@pytest.fixture(scope="module")
def box(pod: Pod) -> str:
    """A running container in it."""
    return pod.run(*SLEEP)


def _ended(pod: Pod, name: str) -> Any:
    wait_for(lambda: pod.status(name).state == EXITED, pod.cri.daemon.log)
    return pod.status(name)


def test_the_pod_has_an_address_that_the_guest_has(cri: Cri, pod: Pod, box: str) -> None:
    status = cri("PodSandboxStatus", pod_sandbox_id=pod.id).status
    assert (status.state, status.runtime_handler) == (0, "enclos")
    assert status.network.ip.startswith("10.77.0.")
    assert f"inet {status.network.ip}/24" in pod.exec(box, "ip", "addr", "show", "eth0")[1]
    ping = ("ping", "-c", "1", "-w", "30", status.network.ip)
    entrance = ("nsenter", f"--net=/run/netns/{cri.daemon.place.name}")
    assert subprocess.run([*entrance, "/bin/busybox", *ping], timeout=60).returncode == 0
    assert pod.exec(box, "ping", "-c", "1", "-w", "30", "10.77.0.1")[0] == 0


def test_what_the_pod_says_is_seen_inside(pod: Pod, box: str) -> None:
    assert pod.exec(box, "hostname")[1] == f"{pod.config.hostname}\n"
    resolver = pod.exec(box, "cat", "/etc/resolv.conf")[1]
    assert "nameserver 192.0.2.1" in resolver
    assert "search example.org" in resolver


def test_exec_sync(pod: Pod, box: str) -> None:
    assert pod.exec(box, "sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    size = 3_000_000
    code, out, _ = pod.exec(box, "sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x")
    assert (code, len(out)) == (0, size)


def test_exec_sync_takes_too_long(pod: Pod, box: str) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        pod.exec(box, "sleep", "1000", timeout_s=2)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: "sleep 1000\n" not in pod.exec(box, "ps", "-o", "args")[1], str)


def test_exec_of_what_is_not_there(pod: Pod, box: str) -> None:
    began = time.monotonic()
    with pytest.raises(grpc.RpcError, match="executable file not found"):
        pod.exec(box, "no-such")
    assert time.monotonic() - began < 30, "somebody waits for what never was"


def test_containers_of_a_pod_meet(pod: Pod, box: str) -> None:
    other = pod.run("nc", "-ll", "-p", "4321", "-e", "echo", "hello")
    wait_for(lambda: "hello" in pod.exec(box, "nc", "127.0.0.1", "4321")[1], str)
    for kind in ("net", "ipc", "uts"):
        link = ("readlink", f"/proc/self/ns/{kind}")
        assert pod.exec(box, *link) == pod.exec(other, *link)
    boot = ("cat", "/proc/sys/kernel/random/boot_id")
    assert pod.exec(box, *boot) == pod.exec(other, *boot)
    assert pod.exec(box, "touch", "/dev/shm/shared")[0] == 0
    assert pod.exec(other, "ls", "/dev/shm")[1] == "shared\n"


def test_the_log_has_every_line_in_its_stream(pod: Pod) -> None:
    name = pod.run("sh", "-c", "echo one; echo two >&2; printf three; exit 4")
    status = _ended(pod, name)
    assert (status.exit_code, status.reason) == (4, "Error")
    assert status.created_at <= status.started_at <= status.finished_at
    lines = Path(status.log_path).read_text().splitlines()
    assert sorted(tuple(line.split(" ", 3)[1:]) for line in lines) == [
        ("stderr", "F", "two"),
        ("stdout", "F", "one"),
        ("stdout", "P", "three"),
    ]
    pod.cri("RemoveContainer", container_id=name)


def test_stop_sends_term_and_waits_before_it_kills(pod: Pod) -> None:
    kind = pod.run("sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done")
    deaf = pod.run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    for name, status in ((kind, 7), (deaf, 137)):
        _wait_up(pod, name)
        pod.cri("StopContainer", container_id=name, timeout=60 if status == 7 else 1)
        assert _ended(pod, name).exit_code == status
        pod.cri("RemoveContainer", container_id=name)


def _wait_up(pod: Pod, name: str) -> None:
    wait_for(lambda: pod.log(name) == ["up"], pod.cri.daemon.log)


def test_a_start_that_fails_says_why(pod: Pod) -> None:
    name = pod.create("/no/such")
    with pytest.raises(grpc.RpcError, match="no such file or directory"):
        pod.cri("StartContainer", container_id=name)
    status = pod.status(name)
    assert (status.exit_code, status.reason) == (128, "StartError")
    pod.cri("RemoveContainer", container_id=name)


def test_memory_runs_out(pod: Pod) -> None:
    limit = api.LinuxContainerResources(memory_limit_in_bytes=48 << 20)
    name = pod.run("tail", "/dev/zero", resources=limit)
    status = _ended(pod, name)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


def test_figures_and_new_limits(pod: Pod) -> None:
    limit = api.LinuxContainerResources(memory_limit_in_bytes=200 << 20, cpu_period=100000,
                                        cpu_quota=50000)  # fmt: skip
    script = "head -c 40000000 /dev/zero >/tmp/x; exec sleep 10000"
    name = pod.run("sh", "-c", script, resources=limit)
    group = ("cat", "/sys/fs/cgroup/memory.max")
    assert pod.exec(name, *group)[1] == f"{200 << 20}\n"
    told = pod.cri("ContainerStats", container_id=name).stats
    assert 0 < told.memory.working_set_bytes.value <= 200 << 20
    first = told.cpu.usage_core_nano_seconds.value
    assert first > 0
    for size in (300 << 20, 100 << 20):
        new = api.LinuxContainerResources(memory_limit_in_bytes=size)
        pod.cri("UpdateContainerResources", container_id=name, linux=new)
        assert pod.exec(name, *group)[1] == f"{size}\n"
    assert pod.cri("ContainerStats", container_id=name).stats.cpu.usage_core_nano_seconds.value > (
        first
    )
    listed = [one.attributes.id for one in pod.cri("ListContainerStats").stats]
    assert name in listed


def test_volumes(pod: Pod, box: str, tmp_path: Path) -> None:
    """An emptyDir that two containers have, a file below another by subPath, a read-only one."""
    del box
    (tmp_path / "empty").mkdir()
    (tmp_path / "conf/..data").mkdir(parents=True)
    (tmp_path / "conf/..data/key").write_text("value\n")
    mounts = [
        api.Mount(container_path="/empty", host_path=str(tmp_path / "empty")),
        api.Mount(container_path="/conf", host_path=str(tmp_path / "conf"), readonly=True),
        api.Mount(container_path="/etc/key", host_path=str(tmp_path / "conf/..data/key")),
    ]
    one, two = (pod.run(*SLEEP, mounts=mounts) for _ in range(2))
    assert pod.exec(one, "sh", "-c", "echo by-one >/empty/f")[0] == 0
    assert pod.exec(two, "cat", "/empty/f")[1] == "by-one\n"
    assert (tmp_path / "empty/f").read_text() == "by-one\n"
    assert pod.exec(two, "cat", "/conf/..data/key", "/etc/key")[1] == "value\nvalue\n"
    code, _, err = pod.exec(one, "touch", "/conf/x")
    assert code == 1
    assert "Read-only file system" in err


def test_security(pod: Pod) -> None:
    security = api.LinuxContainerSecurityContext(
        run_as_user=api.Int64Value(value=1234),
        run_as_group=api.Int64Value(value=55),
        supplemental_groups=[66],
        readonly_rootfs=True,
        no_new_privs=True,
        capabilities=api.Capability(drop_capabilities=["ALL"]),
        seccomp=api.SecurityProfile(profile_type=0),
        masked_paths=["/proc/version"],
    )
    name = pod.run(*SLEEP, security=security)
    assert pod.exec(name, "id")[1].startswith("uid=1234 gid=55")
    assert "66" in pod.exec(name, "id", "-G")[1].split()
    status = pod.exec(name, "cat", "/proc/self/status")[1]
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "CapBnd:\t0000000000000000" in status
    assert pod.exec(name, "cat", "/proc/version")[1] == ""
    assert pod.exec(name, "touch", "/x")[0] == 1


def test_shared_processes(cri: Cri) -> None:
    """With a pod's processes shared, its first one is everybody's init."""
    options = api.NamespaceOption(pid=0)
    context = api.LinuxSandboxSecurityContext(namespace_options=options)
    inside = api.LinuxContainerSecurityContext(namespace_options=options)
    with cri.pod(security_context=context) as pod:
        one = pod.run("sleep", "4321", security=inside)
        two = pod.run("sleep", "1234", security=inside)
        listed = pod.exec(two, "ps", "-o", "pid,args")[1]
        assert "    1 sleep 1000000" in listed
        assert "sleep 4321" in listed
        assert pod.exec(one, "ps", "-o", "args")[1].count("sleep") == 3


def test_exec_with_streams(pod: Pod, box: str) -> None:
    """As `kubectl exec -i`: input, both outputs, and the status in the end."""
    words = ("sh", "-c", "read a; echo $a; echo err >&2; exit 3")
    with pod.cri.streams(
        "Exec", container_id=box, cmd=words, stdin=True, stdout=True, stderr=True
    ) as streams:
        streams.send(channels.STDIN, b"said\n")
        seen = streams.rest()
    assert (seen[channels.STDOUT], seen[channels.STDERR]) == (b"said\n", b"err\n")
    assert b'"message":"3"' in seen[channels.ERROR]


def test_exec_on_a_terminal(pod: Pod, box: str) -> None:
    with pod.cri.streams(
        "Exec", container_id=box, cmd=["sh"], stdin=True, stdout=True, tty=True
    ) as streams:
        streams.send(channels.RESIZE, b'{"Width":101,"Height":33}')
        streams.wait(channels.STDOUT, b"# ")
        streams.send(channels.STDIN, b"sleep 1; stty size; echo $TERM; exit\n")
        streams.wait(channels.STDOUT, b"33 101\r\nxterm\r\n")


def test_attach(pod: Pod) -> None:
    """As `kubectl attach -i`: input goes in, and, to be given once, ends when its client leaves."""
    name = pod.run("cat", stdin=True, stdin_once=True)
    with pod.cri.streams("Attach", container_id=name, stdin=True, stdout=True) as streams:
        streams.send(channels.STDIN, b"first\n")
        streams.wait(channels.STDOUT, b"first\n")
    assert _ended(pod, name).exit_code == 0
    wait_for(lambda: pod.log(name) == ["first"], pod.cri.daemon.log)


def test_port_forward(cri: Cri, pod: Pod) -> None:
    """What listens in the pod answers, by the loopback of its namespace on the host."""
    pod.run("nc", "-ll", "-p", "8081", "-e", "echo", "forwarded")
    seen = b""
    limit = time.monotonic() + 30
    while b"forwarded" not in seen:
        assert time.monotonic() < limit, seen
        with cri.streams("PortForward", "port=8081", pod_sandbox_id=pod.id, port=[8081]) as streams:
            seen = b"".join(streams.rest().values())


def test_an_ephemeral_container_sees_its_target(pod: Pod) -> None:
    """As `kubectl debug --target`: the processes of one other container."""
    own = api.NamespaceOption(pid=CONTAINER)
    target = pod.run(
        "sleep", "4711", security=api.LinuxContainerSecurityContext(namespace_options=own)
    )
    options = api.NamespaceOption(pid=TARGET, target_id=target)
    security = api.LinuxContainerSecurityContext(namespace_options=options)
    debugger = pod.run("sleep", "12", security=security)
    listed = pod.exec(debugger, "ps", "-o", "pid,args")[1]
    assert "    1 sleep 4711" in listed
    assert "sleep 1000000" not in listed
    assert "busybox" in pod.exec(debugger, "ls", "/proc/1/root/bin")[1]


def test_the_pods_figures(cri: Cri, pod: Pod, box: str) -> None:
    """The kubelet's summary: a pod's memory and time are those of its machine on the host."""
    told = cri("PodSandboxStats", pod_sandbox_id=pod.id).stats
    assert told.attributes.id == pod.id
    assert told.linux.memory.usage_bytes.value > 32 << 20
    assert told.linux.cpu.usage_core_nano_seconds.value > 0
    assert told.linux.network.default_interface.name == "eth0"
    assert box in [one.attributes.id for one in told.linux.containers]
    assert pod.id in [one.attributes.id for one in cri("ListPodSandboxStats").stats]


def test_a_pod_that_is_stopped_and_removed_leaves_nothing(cri: Cri) -> None:
    with cri.pod() as pod:
        name = pod.run(*SLEEP)
        cri("StopPodSandbox", pod_sandbox_id=pod.id)
        assert pod.status(name).state == EXITED
        assert cri("PodSandboxStatus", pod_sandbox_id=pod.id).status.state == 1
    assert pod.id not in [one.id for one in cri("ListPodSandbox").items]
    assert not cri.daemon.bundle(pod.id).exists()
    assert not cri.daemon.bundle(name).exists()
