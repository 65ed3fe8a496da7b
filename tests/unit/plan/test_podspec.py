"""A pod without a container: what stands for it, and what its containers get from the shim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enclos.oci import validate
from enclos.oci.types import Mount, Root, Spec
from enclos.plan import podsize, podspec
from enclos.plan.grouping import sandbox_of
from enclos.plan.podspec import Dns, Pod

POD = Pod("pod1", hostname="web", network="/run/netns/x")
SHM = Mount("/dev/shm", "tmpfs", "shm", ("mode=1777", "size=65536k"))


def _kinds(pod: Pod) -> dict[str, str]:
    linux = podspec.placeholder(pod, "/b").linux
    assert linux is not None
    return {one.type: one.path for one in linux.namespaces}


def test_the_placeholder_is_a_valid_specification_of_the_pods_own_machine() -> None:
    spec = podspec.placeholder(POD, "/tools/busybox")
    validate.validate(spec)
    group = sandbox_of(spec.annotations, POD.id)
    assert (group.own, group.named, spec.hostname) == (True, True, "web")
    assert spec.process is not None
    program = next(mount for mount in spec.mounts if mount.source == "/tools/busybox")
    assert spec.process.args[0] == program.destination
    assert "ro" in program.options


def test_its_namespaces_are_those_of_the_pod() -> None:
    assert _kinds(POD) == {
        "mount": "", "pid": "", "ipc": "", "uts": "", "network": "/run/netns/x"
    }  # fmt: skip
    host = replace(POD, network="", host_processes=True, host_ipc=True)
    assert _kinds(host) == {"mount": ""}
    assert podspec.placeholder(host, "/b").hostname == ""


@pytest.mark.parametrize(
    ("parent", "path"),
    [
        ("", ""),
        ("/kubepods/pod7", "/kubepods/pod7/pod1"),
        ("/kubepods.slice/pod7.slice", "pod7.slice:cri-containerd:pod1"),
    ],
)
def test_its_control_group_is_beside_those_of_the_containers(parent: str, path: str) -> None:
    linux = podspec.placeholder(replace(POD, cgroup_parent=parent), "/b").linux
    assert linux is not None
    assert linux.cgroups_path == path


def test_annotations_shape_the_machine_and_nothing_else() -> None:
    asked = {
        "io.enclos.memory": "1GiB",
        "io.kubernetes.cri.sandbox-id": "another",
        "enclos.local-paths": "/x",
    }
    spec = podspec.placeholder(replace(POD, annotations=asked), "/b")
    assert spec.annotations == {
        "io.enclos.memory": "1GiB",
        "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-id": "pod1",
    }


def test_the_machine_is_as_large_as_the_pod_says() -> None:
    pod = replace(POD, memory_bytes=1 << 30, cpu_quota=300000, cpu_period=100000)
    found = podsize.of_machine(podspec.placeholder(pod, "/b").annotations, None)
    assert found is not None
    assert found.memory is not None
    assert found.memory.limit == 1 << 30
    assert found.cpu is not None
    assert (found.cpu.quota, found.cpu.period) == (300000, 100000)


def test_files_of_etc() -> None:
    dns = Dns(("192.0.2.1", "192.0.2.2"), ("a.example", "b.example"), ("ndots:5",))
    made = podspec.etc_files(replace(POD, dns=dns), hostname="n", hosts="H", resolv_conf="R")
    assert {file.name: file.text for file in made} == {
        "hosts": "H",
        "hostname": "web\n",
        "resolv.conf": "search a.example b.example\nnameserver 192.0.2.1\n"
        "nameserver 192.0.2.2\noptions ndots:5\n",
    }
    made = podspec.etc_files(Pod("p"), hostname="n", hosts="H", resolv_conf="R")
    assert [file.text for file in made] == ["H", "n\n", "R"]


def test_a_member_gets_what_it_does_not_bring() -> None:
    hosts = Mount("/etc/hosts", "bind", "/kubelet/hosts", ("rbind",))
    found = podspec.member(Spec(root=Root("rootfs"), mounts=(SHM, hosts)), "/pod")
    assert found.shm_bytes == podspec.SHM_BYTES
    assert [(m.destination, m.source) for m in found.spec.mounts if m.binds] == [
        ("/dev/shm", "shm"),
        ("/etc/hosts", "/kubelet/hosts"),
        ("/etc/resolv.conf", "/pod/resolv.conf"),
        ("/etc/hostname", "/pod/hostname"),
    ]


def test_a_members_own_memory_stays_its_own() -> None:
    own = Mount("/dev/shm", "bind", "/dev/shm", ("rbind",))
    found = podspec.member(Spec(root=Root("rootfs", readonly=True), mounts=(own,)), "/pod")
    assert (found.shm_bytes, found.spec.mounts[0]) == (0, own)
    assert all("ro" in mount.options for mount in found.spec.mounts[1:])
