from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.oci.load import load_spec
from enclos.oci.types import Hook
from enclos.oci.validate import validate
from enclos.plan.guestdevices import HostDisk
from enclos.plan.guestlocal import ANNOTATION
from enclos.plan.guestmounts import BOOT_ID
from enclos.plan.guestspec import GuestPlan, Shm, guest_spec
from tests.support import specs


def plan(document: Any, **options: Any) -> GuestPlan:
    spec = load_spec(json.dumps(document))
    validate(spec)
    return guest_spec(spec, container_id="c1", bundle="/b", **options)


def guest(document: Any, **options: Any) -> Any:
    return json.loads(plan(document, **options).spec_json)


def changed(path: str, value: Any) -> Any:
    return specs.put(specs.runc(), path, value)


def test_the_root_is_in_the_share() -> None:
    found = plan(specs.runc())
    assert json.loads(found.spec_json)["root"] == {
        "path": "/run/share/c1/rootfs",
        "readonly": True,
    }
    assert found.rootfs == "/b/rootfs"
    assert plan(changed("root.path", "/abs/./r")).rootfs == "/abs/r"
    assert guest(specs.runc(), share="/s")["root"]["path"] == "/s/c1/rootfs"


def test_a_root_that_is_a_disk() -> None:
    found = plan(specs.runc(), root_path="/run/enclos/roots/c1")
    assert json.loads(found.spec_json)["root"] == {"path": "/run/enclos/roots/c1", "readonly": True}
    assert found.rootfs == "/b/rootfs"


def test_the_guest_understands_the_plan() -> None:
    for document in (specs.minimal(), specs.runc(), specs.podman()):
        validate(load_spec(plan(document).spec_json))


def test_binds_come_from_the_share_in_their_order() -> None:
    found = plan(specs.podman())
    binds = [
        m for m in json.loads(found.spec_json)["mounts"] if m["source"].startswith("/run/share")
    ]
    assert [m["source"] for m in binds] == [f"/run/share/c1/m{n}" for n in range(4)]
    assert [m["destination"] for m in binds] == [s.destination for s in found.sources]
    assert binds[3]["options"] == ["rbind", "rprivate", "ro"]
    last = found.sources[3]
    assert (last.source, last.recursive, last.readonly) == ("/srv/data", True, True)
    assert (found.sources[0].recursive, found.sources[0].readonly) == (False, False)
    assert last.name == "m3"


@pytest.mark.parametrize(
    ("options", "readonly"),
    [
        (["bind", "ro"], (True, False)),
        (["bind", "ro", "rw"], (False, False)),
        (["rbind", "rro"], (True, True)),
        (["bind"], (False, False)),
    ],
)
def test_the_last_word_on_writing_counts(options: list[str], readonly: tuple[bool, bool]) -> None:
    mount = {"destination": "/a", "source": "/h", "options": options}
    source = plan(specs.put(specs.minimal(), "mounts", [mount])).sources[0]
    assert (source.readonly, source.recursive_readonly) == readonly


def test_sources_are_relative_to_the_bundle() -> None:
    mount = {"destination": "a", "type": "bind", "source": "../vol"}
    found = plan(specs.put(specs.minimal(), "mounts", [mount]))
    assert found.sources[0].source == "/vol"
    assert json.loads(found.spec_json)["mounts"] == [
        {"destination": "/a", "type": "bind", "source": "/run/share/c1/m0", "options": ["bind"]}
    ]


@pytest.mark.parametrize("source", ["/sys", "/dev/fuse", "/dev/../proc/sys", "/sys/fs/cgroup/"])
def test_the_kernels_trees_are_the_guests(source: str) -> None:
    mount = {"destination": "/a", "source": source, "options": ["rbind"]}
    found = plan(specs.put(specs.minimal(), "mounts", [mount]))
    assert not found.sources
    assert any("the guest's own" in note for note in found.notes)


@pytest.mark.parametrize("source", ["/proc/1/root/x", "/proc/self/fd/3", "/system", "/devel"])
def test_what_only_looks_like_them_is_the_hosts(source: str) -> None:
    mount = {"destination": "/a", "source": source, "options": ["rbind"]}
    assert plan(specs.put(specs.minimal(), "mounts", [mount])).sources[0].source == source


def test_every_procfs_shows_the_clones_boot_id() -> None:
    found = guest(specs.runc())
    assert found["mounts"][-1]["destination"] == BOOT_ID
    assert found["mounts"][-1]["source"] == "/run/enclos/boot_id"
    assert "ro" in found["mounts"][-1]["options"]
    assert found["linux"]["readonlyPaths"][-1] == BOOT_ID


def test_without_procfs_there_is_no_boot_id() -> None:
    found = guest(changed("mounts", []))
    assert found["mounts"] == []
    assert BOOT_ID not in found["linux"]["readonlyPaths"]


def test_namespaces() -> None:
    document = changed(
        "linux.namespaces",
        [
            {"type": "network", "path": "/run/netns/n"},
            {"type": "mount"},
            {"type": "uts"},
            {"type": "ipc", "path": "/proc/1/ns/ipc"},
            {"type": "pid", "path": "/proc/1/ns/pid"},
        ],
    )
    found = plan(document, joins={"ipc": "/proc/7/ns/ipc", "pid": ""})
    assert json.loads(found.spec_json)["linux"]["namespaces"] == [
        {"type": "network", "path": "/run/enclos/net/of-c1"}, {"type": "mount"}, {"type": "uts"},
        {"type": "ipc", "path": "/proc/7/ns/ipc"}, {"type": "pid"}, {"type": "cgroup"},
    ]  # fmt: skip
    assert found.network == "/run/netns/n"


def test_an_engines_shared_memory_is_the_guests() -> None:
    mine = {"destination": "/dev/shm", "type": "bind", "source": "/e/shm", "options": ["bind"]}
    found = plan(changed("mounts", [mine]), shm=Shm("infra", 64 << 20))
    assert json.loads(found.spec_json)["mounts"] == [{**mine, "source": "/run/enclos/shm/infra"}]
    assert not found.sources
    assert found.shm == Shm("infra", 64 << 20)
    assert [source.source for source in plan(changed("mounts", [mine])).sources] == ["/e/shm"]


def test_a_strangers_namespace_cannot_be_joined() -> None:
    document = changed("linux.namespaces", [*specs.runc()["linux"]["namespaces"][1:],
                                            {"type": "pid", "path": "/proc/9/ns/pid"}])  # fmt: skip
    with pytest.raises(InvalidRequest, match="/proc/9/ns/pid is no namespace of a container in"):
        plan(document)


def test_missing_namespaces_are_the_guests() -> None:
    found = plan(specs.minimal())
    assert json.loads(found.spec_json)["linux"]["namespaces"] == [
        {"type": "mount"}, {"type": "cgroup"},
        {"type": "network", "path": "/run/enclos/net/of-c1"},
    ]  # fmt: skip
    assert found.network is None
    assert len([note for note in found.notes if "the guest's own is used" in note]) == 3


def test_user_namespaces_keep_their_mappings() -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    document = changed("linux.namespaces", [*specs.runc()["linux"]["namespaces"], {"type": "user"}])
    document["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    found = guest(document)["linux"]
    assert found["uidMappings"] == found["gidMappings"] == mapping
    assert {"type": "network"} in found["namespaces"], "made in and owned by the user namespace"
    assert plan(document).own_network


def test_limits_are_divided() -> None:
    found = plan(specs.podman())
    resources = json.loads(found.spec_json)["linux"]["resources"]
    assert resources["memory"] == {"limit": 536870912, "swap": 1073741824}
    assert resources["cpu"] == {"quota": 150000, "period": 100000}
    assert resources["pids"] == {"limit": 2048}
    assert "blockIO" not in resources
    assert found.limits.cpus == "0-1"
    assert found.limits.block_io is not None
    assert found.limits.block_io.weight == 500
    assert json.loads(found.spec_json)["linux"]["cgroupsPath"] == "/enclos/c1"


def test_unified_limits_are_divided_by_controller() -> None:
    unified = {"memory.high": "1", "io.max": "8:0 rbps=1", "cpuset.cpus": "0"}
    found = plan(changed("linux.resources.unified", unified))
    assert json.loads(found.spec_json)["linux"]["resources"]["unified"] == {"memory.high": "1"}
    assert found.limits.unified == {"io.max": "8:0 rbps=1", "cpuset.cpus": "0"}


def test_zero_and_negative_limits_mean_none() -> None:
    resources = {
        "memory": {"limit": 0, "swap": 0, "reservation": 0},
        "cpu": {"quota": 0, "period": 0, "shares": 1},
        "pids": {"limit": -5},
    }
    found = guest(changed("linux.resources", resources))["linux"]["resources"]
    assert found == {"memory": {}, "cpu": {"quota": -1, "shares": 2}, "pids": {"limit": -1}}


def test_what_cgroup_v2_lacks_is_dropped_with_a_note() -> None:
    memory = {"limit": 1 << 30, "kernel": 1, "kernelTCP": 1, "swappiness": 60,
              "disableOOMKiller": True, "useHierarchy": True}  # fmt: skip
    found = plan(changed("linux.resources.memory", memory))
    assert json.loads(found.spec_json)["linux"]["resources"]["memory"] == {"limit": 1 << 30}
    assert len([note for note in found.notes if "cgroup v2" in note]) == 4


def test_the_hosts_labels_are_dropped_with_a_note() -> None:
    document = changed("process.apparmorProfile", "docker-default")
    document["process"]["selinuxLabel"] = "a:b:c"
    document["linux"]["mountLabel"] = "a:b:c"
    found = plan(document)
    text = found.spec_json
    assert not [word for word in ("apparmor", "selinux", "mountLabel") if word in text]
    assert len([note for note in found.notes if "dropped" in note]) == 3


def test_what_the_guest_does_itself_is_kept() -> None:
    document = changed("process.oomScoreAdj", 7)
    document["linux"] |= {
        "rootfsPropagation": "rslave",
        "sysctl": {"net.core.somaxconn": "9"},
        "personality": {"domain": "LINUX32"},
    }
    document["newer"] = {"x": 1}
    document["annotations"] = {"a": "b", "run.oci.handler": "krun"}
    found = guest(document)
    assert found["process"]["oomScoreAdj"] == 7
    assert found["process"]["rlimits"] == document["process"]["rlimits"]
    assert found["linux"]["rootfsPropagation"] == "rslave"
    assert found["linux"]["sysctl"] == {"net.core.somaxconn": "9"}
    assert found["linux"]["personality"]["domain"] == "LINUX32"
    assert found["hostname"] == document["hostname"]
    assert found["newer"] == {"x": 1}
    assert found["annotations"] == {"a": "b"}


def test_hooks_are_divided() -> None:
    kinds = "prestart createRuntime createContainer startContainer poststart poststop".split()
    document = changed("hooks", {kind: [{"path": f"/bin/{kind}"}] for kind in kinds})
    document["hooks"]["createContainer"].append({"path": "/b/rootfs/bin/sh"})
    found = plan(document)
    assert json.loads(found.spec_json)["hooks"] == {
        "createContainer": [
            {"path": "/bin/createContainer"},
            {"path": "/run/share/c1/rootfs/bin/sh"},
        ],
        "startContainer": [{"path": "/bin/startContainer"}],
    }
    assert found.hooks.prestart == (Hook("/bin/prestart"),)
    assert found.hooks.create_runtime == (Hook("/bin/createRuntime"),)
    assert found.hooks.poststart == (Hook("/bin/poststart"),)
    assert found.hooks.poststop == (Hook("/bin/poststop"),)


FUSE = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}
DISK = {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}
SERIAL = {"path": "/dev/ttyS0", "type": "c", "major": 4, "minor": 64}
LOCAL = ("/var/lib/docker", "/var/lib/containerd")


def test_devices_the_guest_has_are_kept() -> None:
    document = changed("linux.devices", [FUSE])
    assert guest(document)["linux"]["devices"] == [FUSE]


def test_a_device_of_the_host_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"/dev/ttyS0 \(c 4:64\) is a device of the host"):
        plan(changed("linux.devices", [FUSE, SERIAL]))


def test_a_block_device_becomes_a_disk() -> None:
    found = plan(changed("linux.devices", [FUSE, DISK]))
    assert found.disks == (HostDisk(1, "/dev/sda", 8, 0, readonly=True),)
    assert not found.all_devices


@pytest.mark.parametrize(
    ("rules", "readonly"),
    [
        ([("rwm", True, 8, 0)], False),
        ([("rm", True, 8, 0)], True),
        ([("w", True, 8, 1)], True),
        ([("rw", True, 8, None)], False),
        ([("rw", True, 8, 0), ("w", False, 8, 0)], True),
    ],
)
def test_a_disk_is_written_to_if_the_rules_allow_it(rules: Any, *, readonly: bool) -> None:
    document = changed("linux.devices", [DISK])
    document["linux"]["resources"]["devices"] = [
        {"type": "b", "access": access, "allow": allow, "major": major}
        | ({} if minor is None else {"minor": minor})
        for access, allow, major, minor in rules
    ]
    assert plan(document).disks[0].readonly is readonly


def test_loops_are_the_hosts_unless_there_is_their_control() -> None:
    loop = {"path": "/dev/loop3", "type": "b", "major": 7, "minor": 3}
    control = {"path": "/dev/loop-control", "type": "c", "major": 10, "minor": 237}
    assert plan(changed("linux.devices", [loop])).disks[0].minor == 3
    assert not plan(changed("linux.devices", [loop, control])).disks


def privileged(*devices: Any, **more: Any) -> GuestPlan:
    document = changed("linux.devices", list(devices))
    document["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    return plan(document | more, local_paths=LOCAL)


def test_a_privileged_container_does_without_the_hosts() -> None:
    found = privileged(DISK, FUSE, SERIAL)
    assert json.loads(found.spec_json)["linux"].get("devices", []) == []
    assert found.all_devices
    assert not found.disks
    assert "linux.devices: left out, the host's own: /dev/sda, /dev/fuse, /dev/ttyS0" in found.notes


def test_a_privileged_container_gets_what_was_named_apart() -> None:
    """dockerd lists the host's devices, then those of --device HOST:OTHER."""
    found = privileged(DISK, FUSE, DISK | {"path": "/dev/mine"})
    assert found.disks == (HostDisk(0, "/dev/mine", 8, 0, readonly=False),)
    assert [d["path"] for d in json.loads(found.spec_json)["linux"]["devices"]] == ["/dev/mine"]


def test_two_names_of_a_host_device_are_nothing_apart() -> None:
    found = privileged(DISK, DISK | {"path": "/dev/mapper/x"}, FUSE)
    assert not found.disks


def test_local_directories_of_a_privileged_container() -> None:
    found = privileged()
    mounts = json.loads(found.spec_json)["mounts"][-2:]
    assert [(m["destination"], m["source"]) for m in mounts] == [
        ("/var/lib/docker", "/run/enclos/local/c1/0"),
        ("/var/lib/containerd", "/run/enclos/local/c1/1"),
    ]
    assert found.local == 2
    assert plan(specs.runc(), local_paths=LOCAL).local == 0


@pytest.mark.parametrize(
    ("destination", "left"), [("/var/lib/docker", 1), ("/var/lib", 0), ("/var/lib/docker/x", 2)]
)
def test_what_is_mounted_there_stays(destination: str, left: int) -> None:
    volume = {"destination": destination, "source": "/v", "type": "bind", "options": ["rbind"]}
    assert privileged(mounts=[volume]).local == left


def test_local_directories_by_annotation() -> None:
    assert plan(specs.runc() | {"annotations": {ANNOTATION: "/a:/b/./c"}}).local == 2
    for wrong in ("a", "/a::/b", "/", "/a:/proc"):
        with pytest.raises(InvalidRequest, match="no place for a directory"):
            plan(specs.runc() | {"annotations": {ANNOTATION: wrong}})


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("linux.netDevices", {"eth0": {"name": "a"}}, "linux.netDevices"),
        ("linux.memoryPolicy", {"mode": "MPOL_BIND"}, "linux.memoryPolicy"),
        ("linux.resources.rdma", {"a": {"hcaHandles": 1}}, "RDMA"),
        ("linux.resources.network", {"classID": 1}, "packet classes"),
        ("linux.resources.cpu", {"realtimeRuntime": 1}, "realtime"),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_LOG", "listenerPath": "/s"}, "listenerPath"),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        ("mounts", [{"destination": "/a", "type": "ext4", "source": "/dev/sda"}], "'ext4' cannot"),
        ("mounts", [{"destination": "/a", "source": "/b", "options": ["bind", "idmap"]}], "idmap"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(path: str, value: Any, found: str) -> None:
    with pytest.raises(InvalidRequest, match=found) as caught:
        plan(changed(path, value))
    assert caught.value.hint


MAPPING = {"containerID": 0, "hostID": 1000, "size": 10}
USERS = {"uidMappings": [MAPPING], "gidMappings": [MAPPING]}


@pytest.mark.parametrize(
    ("mount", "recursively"),
    [
        ({"options": ["bind"], **USERS}, False),
        ({"options": ["rbind", "ridmap"], **USERS}, True),
        ({"options": ["bind", "idmap"]}, False),
    ],
)
def test_owners_are_mapped_on_the_host(mount: dict[str, Any], *, recursively: bool) -> None:
    document = changed("mounts", [{"destination": "/a", "source": "/b", **mount}])
    document["linux"]["namespaces"].append({"type": "user"})
    document["linux"] |= USERS
    found = plan(document)
    (source,) = found.sources
    assert [one.host_id for one in (*source.uid_mappings, *source.gid_mappings)] == [1000, 1000]
    assert source.maps_recursively == recursively
    (guests,) = json.loads(found.spec_json)["mounts"]
    assert not {"uidMappings", "gidMappings"} & guests.keys()
    assert not {"idmap", "ridmap"} & set(guests["options"])


@pytest.mark.parametrize(
    ("cpus", "asked", "wanted"), [("", "0-1", "0-1"), ("4-7", "5,7", "1,3"), ("2,9", "9", "1")]
)
def test_an_affinity_names_the_guests_cpus(cpus: str, asked: str, wanted: str) -> None:
    document = changed("process.execCPUAffinity", {"initial": asked, "final": asked})
    document["linux"]["resources"]["cpu"] = {"cpus": cpus}
    process = json.loads(plan(document).spec_json)["process"]
    assert process["execCPUAffinity"] == {"initial": wanted, "final": wanted}


def test_an_affinity_to_cpus_it_does_not_have_is_refused() -> None:
    document = changed("process.execCPUAffinity", {"initial": "3"})
    document["linux"]["resources"]["cpu"] = {"cpus": "0-1"}
    with pytest.raises(InvalidRequest, match=r"initial: 3 is not within"):
        plan(document)


PATHS = st.sampled_from(
    "process.args process.env process.user process.rlimits root.path mounts mounts.0 "
    "mounts.3.options hooks hostname annotations linux.namespaces linux.resources.memory "
    "linux.resources.cpu linux.resources.devices linux.devices linux.seccomp linux.sysctl "
    "linux.uidMappings".split()
)
LEAVES = (
    st.none() | st.integers(-3, 3) | st.sampled_from(["", "/", "a", "bind", "1.0.0", "CAP_KILL"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "path", "limit", "source", "destination"]), inner
        )
    ),
    max_leaves=5,
)


@given(st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=3))
def test_planning_is_total(changes: list[tuple[str, Any]]) -> None:
    document = specs.podman()
    for path, value in changes:
        try:
            document = specs.put(document, path, value)
        except (AttributeError, IndexError, TypeError, KeyError):
            continue
    try:
        found = plan(document)
    except InvalidRequest:
        return
    assert json.loads(found.spec_json)["root"]["path"] == "/run/share/c1/rootfs"
