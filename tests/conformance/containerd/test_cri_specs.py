"""What the kubelet may ask of pods and containers one by one, in pods of ours and of runc's: the
same is found in both. It is the list of Kubernetes' own checks of a runtime, as far as it is not
in the files beside this one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.support import channels
from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api

SLEEP: Final = ("sleep", "10000")
NODE: Final = 2
CREATED: Final = 0
RUNNING: Final = 1
EXITED: Final = 2
LOCALHOST: Final = 2
HOST_PORTS: Final = {"enclos": 18091, "runc": 18092}
SYSCTLS: Final = {
    "kernel.shm_rmid_forced": "1",
    "net.ipv4.ip_local_port_range": "20000 30000",
    "kernel.msgmax": "9000",
    "fs.mqueue.msg_max": "20",
}
"""Two that Kubernetes calls safe, and two that a node has to allow."""

Boxes = tuple[tuple[Pod, str], ...]


@pytest.fixture(scope="module")
def boxes(cri: Cri) -> Iterator[Boxes]:
    """A running container in a pod of ours and one in runc's, which ask for all that pods can."""
    found: list[tuple[Pod, str]] = []
    context = api.LinuxSandboxSecurityContext(privileged=True, supplemental_groups=[77])
    dns = api.DNSConfig(
        servers=["192.0.2.7", "192.0.2.8"],
        searches=["a.example.org", "example.org"],
        options=["ndots:3", "rotate"],
    )

    def asked(handler: str) -> dict[str, Any]:
        port = api.PortMapping(container_port=8080, host_port=HOST_PORTS[handler])
        more = {"dns_config": dns, "port_mappings": [port], "labels": {"pod": handler}}
        return {"handler": handler, "more": more, "sysctls": SYSCTLS, "security_context": context}

    with cri.pod(**asked("enclos")) as ours, cri.pod(**asked("runc")) as theirs:
        for pod in (ours, theirs):
            labels = {"is": "box", "of": pod.id}
            found.append((pod, pod.run(*SLEEP, labels=labels, annotations={"note": "kept"})))
        yield tuple(found)


def same(boxes: Boxes, look: Callable[[Pod, str], Any]) -> Any:
    """What `look` finds in both."""
    ours, theirs = (look(pod, box) for pod, box in boxes)
    assert ours == theirs
    return ours


def _script(pod: Pod, name: str, *lines: str) -> str:
    """What a shell in the container prints."""
    return pod.exec(name, "sh", "-c", "\n".join(lines))[1]


def _refusal(pod: Pod, method: str, **fields: Any) -> str:
    """The kind of error with which a call is refused, nothing if it is not."""
    try:
        pod.cri(method, **fields)
    except grpc.RpcError as error:
        return str(error.code().name)
    return ""


def test_the_runtime_is_ready(cri: Cri) -> None:
    assert cri("Version").runtime_name == "containerd"
    conditions = {one.type: one.status for one in cri("Status").status.conditions}
    assert conditions["RuntimeReady"]
    assert conditions["NetworkReady"]


def test_sysctls_safe_and_unsafe(boxes: Boxes) -> None:
    paths = ["/proc/sys/" + name.replace(".", "/") for name in SYSCTLS]
    values = same(boxes, lambda pod, box: pod.exec(box, "cat", *paths)[1].split("\n"))
    assert [value.replace("\t", " ") for value in values] == [*SYSCTLS.values(), ""]


def test_names_are_looked_up_as_the_pod_says(boxes: Boxes) -> None:
    lines = same(boxes, lambda pod, box: pod.exec(box, "cat", "/etc/resolv.conf")[1]).splitlines()
    assert sorted(lines) == [
        "nameserver 192.0.2.7",
        "nameserver 192.0.2.8",
        "options ndots:3 rotate",
        "search a.example.org example.org",
    ]


def test_a_port_of_the_host_leads_to_one_of_the_pod(boxes: Boxes) -> None:
    for (pod, _), port in zip(boxes, HOST_PORTS.values(), strict=True):
        server = pod.run("nc", "-ll", "-p", "8080", "-e", "echo", "pod", str(port))
        entrance = ("nsenter", f"--net=/run/netns/{pod.cri.daemon.place.name}", "/bin/busybox")

        words = [*entrance, "nc", "10.77.0.1", str(port)]
        expected = f"pod {port}\n".encode()
        wait_for(partial(_is_answered, words, expected), pod.cri.daemon.log)
        _remove(pod, server)


def _is_answered(words: list[str], expected: bytes) -> bool:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return done.stdout == expected


def _remove(pod: Pod, name: str) -> None:
    pod.cri("StopContainer", container_id=name, timeout=0)
    pod.cri("RemoveContainer", container_id=name)


def test_lists_by_what_is_asked_for(boxes: Boxes) -> None:
    def look(pod: Pod, box: str) -> Any:
        idle = pod.create(*SLEEP, labels={"is": "idle", "of": pod.id})
        state = api.ContainerStateValue

        def listed(**wanted: Any) -> list[str]:
            asked = api.ContainerFilter(**wanted)
            found = {one.id for one in pod.cri("ListContainers", filter=asked).containers}
            return sorted("box" if one == box else "idle" for one in found & {box, idle})

        def pods(**wanted: Any) -> list[str]:
            asked = api.PodSandboxFilter(**wanted)
            return [one.id for one in pod.cri("ListPodSandbox", filter=asked).items]

        def stats(**wanted: Any) -> list[str]:
            asked = api.ContainerStatsFilter(**wanted)
            return [one.attributes.id for one in pod.cri("ListContainerStats", filter=asked).stats]

        wanted = api.PodSandboxStatsFilter(id=pod.id)
        told = pod.cri("ListPodSandboxStats", filter=wanted).stats
        (label,) = pod.config.labels.items()
        found = (
            listed(id=box),
            listed(pod_sandbox_id=pod.id),
            listed(pod_sandbox_id=pod.id, state=state(state=CREATED)),
            listed(pod_sandbox_id=pod.id, state=state(state=RUNNING)),
            listed(label_selector={"is": "box", "of": pod.id}),
            listed(id="no-such"),
            pods(id=pod.id) == pods(label_selector=dict([label])) == [pod.id],
            pods(id=pod.id, state=api.PodSandboxStateValue(state=1)),
            stats(id=box) == stats(label_selector={"is": "box", "of": pod.id}) == [box],
            box in stats(pod_sandbox_id=pod.id),
            [one.attributes.id for one in told] == [pod.id],
        )
        pod.cri("RemoveContainer", container_id=idle)
        return found

    both, one, idle, none = ["box", "idle"], ["box"], ["idle"], list[str]()
    assert same(boxes, look) == (one, both, idle, one, one, none, True, none, True, True, True)


def test_what_was_said_of_a_container_is_kept(boxes: Boxes) -> None:
    def look(pod: Pod, box: str) -> Any:
        status = pod.status(box)
        return dict(status.labels) == {"is": "box", "of": pod.id}, dict(status.annotations)

    assert same(boxes, look) == (True, {"note": "kept"})


def test_stopping_and_removing_again(boxes: Boxes) -> None:
    """A second time is no error; a container that was never started can be removed."""

    def look(pod: Pod, _box: str) -> Any:
        idle, busy = pod.create(*SLEEP), pod.run(*SLEEP)
        said = [_refusal(pod, "StopContainer", container_id=busy, timeout=0) for _ in range(2)]
        state = pod.status(busy).state
        said += [_refusal(pod, "RemoveContainer", container_id=busy) for _ in range(2)]
        said += [_refusal(pod, "RemoveContainer", container_id=idle)]
        said += [_refusal(pod, "RemovePodSandbox", pod_sandbox_id="no-such")]
        gone = [
            _refusal(pod, "ContainerStatus", container_id=busy),
            _refusal(pod, "StartContainer", container_id=busy),
            _refusal(pod, "ExecSync", container_id=busy, cmd=["true"]),
        ]
        return state, said, gone

    state, said, gone = same(boxes, look)
    assert (state, set(said)) == (EXITED, {""})
    assert "" not in gone


def test_exec_where_nothing_runs(boxes: Boxes) -> None:
    def look(pod: Pod, _box: str) -> Any:
        ended = pod.run("true")
        wait_for(lambda: pod.status(ended).state == EXITED, pod.cri.daemon.log)
        said = (
            _refusal(pod, "ExecSync", container_id=ended, cmd=["true"]),
            _refusal(pod, "StartContainer", container_id=ended),
        )
        pod.cri("RemoveContainer", container_id=ended)
        return said

    assert "" not in same(boxes, look)


def test_a_log_is_opened_anew(boxes: Boxes) -> None:
    """As the kubelet does when it has moved a log that grew too long."""

    def look(pod: Pod, _box: str) -> Any:
        name = pod.run("sh", "-c", "while :; do echo line; sleep 0.2; done")
        log = Path(pod.status(name).log_path)
        wait_for(lambda: log.exists() and log.stat().st_size > 0, pod.cri.daemon.log)
        old = log.with_suffix(".old")
        log.rename(old)
        pod.cri("ReopenContainerLog", container_id=name)
        size = old.stat().st_size
        wait_for(lambda: len(pod.log(name)) > 2, pod.cri.daemon.log)
        found = set(pod.log(name)), old.stat().st_size == size
        _remove(pod, name)
        return found

    assert same(boxes, look) == ({"line"}, True)


def test_attach_to_a_terminal(boxes: Boxes) -> None:
    def look(pod: Pod, _box: str) -> Any:
        name = pod.run("sh", stdin=True, tty=True)
        with pod.cri.streams("Attach", container_id=name, stdin=True, stdout=True, tty=True) as on:
            on.send(channels.RESIZE, b'{"Width":91,"Height":31}')
            on.send(channels.STDIN, b"sleep 1; stty size; exit 3\n")
            on.wait(channels.STDOUT, b"31 91\r\n")
        wait_for(lambda: pod.status(name).state == EXITED, pod.cri.daemon.log)
        code = pod.status(name).exit_code
        pod.cri("RemoveContainer", container_id=name)
        return code

    assert same(boxes, look) == 3


def test_who_runs(boxes: Boxes, tmp_path: Path) -> None:
    """A user by name and by number, groups of the image, the pod and the container."""
    (tmp_path / "passwd").write_text("root:x:0:0::/:/bin/sh\nsomebody:x:1234:55::/:/bin/sh\n")
    (tmp_path / "group").write_text("root:x:0:\nsome:x:55:\nmore:x:99:somebody\n")
    mounts = [
        api.Mount(container_path=f"/etc/{name}", host_path=os.fspath(tmp_path / name))
        for name in ("passwd", "group")
    ]

    def look(pod: Pod, box: str) -> Any:
        security = api.LinuxContainerSecurityContext
        number = api.Int64Value
        user = pod.run(
            *SLEEP, security=security(run_as_user=number(value=4000), supplemental_groups=[88, 89])
        )
        group = _refusal(
            pod,
            "CreateContainer",
            pod_sandbox_id=pod.id,
            sandbox_config=pod.config,
            config=api.ContainerConfig(
                metadata=api.ContainerMetadata(name="group-alone"),
                image=api.ImageSpec(image="docker.io/library/busybox:test"),
                linux=api.LinuxContainerConfig(
                    security_context=security(run_as_group=number(value=5))
                ),
            ),
        )
        unknown = security(run_as_username="nobody-knows")
        with pytest.raises(grpc.RpcError, match="no users found"):
            pod.run(*SLEEP, security=unknown)
        told = pod.exec(user, "id")[1], pod.exec(box, "id", "-G")[1]
        written = pod.run(*SLEEP, mounts=mounts, security=security(run_as_user=number(value=1234)))
        third = pod.exec(written, "id")[1]
        for name in (user, written):
            _remove(pod, name)
        return (*told, third), group

    told, group = same(boxes, look)
    assert told[0].startswith("uid=4000 gid=0")
    assert {"88", "89"} <= set(
        told[0].replace("(root)", "").strip().rpartition("groups=")[2].split(",")
    )
    assert told[2].startswith("uid=1234(somebody)")
    assert group != ""


def test_what_a_process_may_do(boxes: Boxes) -> None:
    """Capabilities as they are, added and dropped; new privileges; how dear it is when memory is
    short; files below /proc and /etc that are only to be read."""

    def look(pod: Pod, box: str) -> Any:
        security = api.LinuxContainerSecurityContext(
            capabilities=api.Capability(
                add_capabilities=["NET_ADMIN"], drop_capabilities=["CHOWN"]
            ),
            no_new_privs=True,
            readonly_paths=["/etc"],
        )
        limits = api.LinuxContainerResources(oom_score_adj=500)
        name = pod.run(*SLEEP, security=security, resources=limits)
        wanted = "Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:"
        lines = (
            f"grep -E '{wanted}' /proc/self/status",
            "cat /proc/self/oom_score_adj",
            "ip addr add 10.99.99.99/32 dev lo 2>/dev/null; echo address $?",
            "touch /tmp/f; chown 1:1 /tmp/f 2>/dev/null; echo owner $?",
            "touch /etc/f 2>/dev/null; echo written $?",
            "mount -t tmpfs tmpfs /mnt 2>/dev/null; echo mounted $?",
            "ip addr del 10.99.99.99/32 dev lo 2>/dev/null",
            "true",
        )
        found = tuple(_script(pod, one, "mkdir -p /mnt /tmp", *lines) for one in (box, name))
        _remove(pod, name)
        return found

    plain, changed = same(boxes, look)
    assert "NoNewPrivs:\t0" in plain
    assert plain.endswith("address 2\nowner 0\nwritten 0\nmounted 1\n")
    assert "NoNewPrivs:\t1" in changed
    assert changed.endswith("\n500\naddress 0\nowner 1\nwritten 1\nmounted 1\n")


def test_privileged(boxes: Boxes) -> None:
    """All of the machine: file systems are mounted, settings of the kernel are written."""

    def look(pod: Pod, _box: str) -> Any:
        name = pod.run(*SLEEP, security=api.LinuxContainerSecurityContext(privileged=True))
        lines = (
            "mkdir -p /mnt; mount -t tmpfs tmpfs /mnt && touch /mnt/f && ls /mnt",
            "echo 8000 >/proc/sys/kernel/msgmnb && cat /proc/sys/kernel/msgmnb",
            "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status",
        )
        found = _script(pod, name, *lines)
        _remove(pod, name)
        return found

    assert same(boxes, look) == "f\n8000\nNoNewPrivs:\t0\nSeccomp:\t0\n"


def test_a_profile_of_apparmor_where_there_is_none(boxes: Boxes) -> None:
    def look(pod: Pod, _box: str) -> Any:
        profile = api.SecurityProfile(profile_type=LOCALHOST, localhost_ref="some-profile")
        with pytest.raises(grpc.RpcError, match="apparmor is not supported"):
            pod.run(*SLEEP, security=api.LinuxContainerSecurityContext(apparmor=profile))
        return True

    assert same(boxes, look)


def test_devices_and_paths_of_the_host(boxes: Boxes, tmp_path: Path) -> None:
    """A device under another name; a volume by a link; one that is not there yet, which is made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("by a link\n")
    (tmp_path / "link").symlink_to("real")

    def look(pod: Pod, _box: str) -> Any:
        made = tmp_path / f"new-{pod.config.labels['pod']}/deep"
        name = pod.run(
            *SLEEP,
            mounts=[
                api.Mount(container_path="/link", host_path=os.fspath(tmp_path / "link")),
                api.Mount(container_path="/made", host_path=os.fspath(made)),
            ],
            devices=[
                api.Device(container_path="/dev/own", host_path="/dev/full", permissions="rwm")
            ],
        )
        lines = (
            "cat /link/file; ls -d /made; test -c /dev/own && echo x >/dev/own",
            "echo $?; touch /made/in",
        )
        found = _script(pod, name, *lines), os.listdir(made)
        _remove(pod, name)
        return found

    assert same(boxes, look) == ("by a link\n/made\n1\n", ["in"])


@pytest.mark.nightly
def test_processes_and_shared_memory_of_the_node_are_the_guests(cri: Cri) -> None:
    """hostPID and hostIPC: all of the machine, nothing of the host; the pod's name is its own."""
    options = api.NamespaceOption(pid=NODE, ipc=NODE)
    context = api.LinuxSandboxSecurityContext(namespace_options=options)
    inside = api.LinuxContainerSecurityContext(namespace_options=options)
    with cri.pod(security_context=context) as pod:
        one = pod.run("sleep", "4321", security=inside)
        two = pod.run("sleep", "1234", security=inside)
        listed = _script(pod, two, "cat /proc/[0-9]*/comm; ps -o args", "cat /proc/1/comm")
        assert "sleep 4321" in listed
        assert "containerd" not in listed
        assert listed.endswith("\ninit\n")
        for kind in ("pid", "ipc"):
            link = ("readlink", f"/proc/self/ns/{kind}")
            assert pod.exec(one, *link) == pod.exec(two, *link)
