from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from enclos.errors import InvalidRequest, NotFound
from enclos.oci.load import dump_spec, load_spec
from enclos.oci.names import CAPABILITIES
from enclos.oci.resources import BlockIo, Cpu
from enclos.oci.types import Process, Rlimit, Spec
from enclos.plan.capabilities import DEFAULT
from enclos.plan.container import ContainerPlan, container_spec
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runoptions import RunOptions, Surroundings, TextFile
from enclos.plan.runsecurity import MASKED_PATHS, READONLY_PATHS, seccomp_file

HERE = Surroundings(
    "0123456789abcdef",
    home="/data/containers/0123456789abcdef",
    rootfs="/merged",
    volumes="/data/volumes",
    caller_env={"CALLER": "yes"},
    passwd="root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:\n",
    group="root:x:0:\n",
    resolv_conf="nameserver 192.0.2.1\n",
)
IMAGE = ImageConfig(architecture="amd64", cmd=("sh",), env=("PATH=/bin", "LANG=C"))


def plan(image: ImageConfig = IMAGE, **flags: Any) -> ContainerPlan:
    return container_spec(image, RunOptions(**flags), HERE)


def process(image: ImageConfig = IMAGE, **flags: Any) -> Process:
    found = plan(image, **flags).spec.process
    assert found is not None
    return found


def mount_at(spec: Spec, destination: str) -> Any:
    return next(mount for mount in spec.mounts if mount.destination == destination)


def test_defaults_are_dockers() -> None:
    found = plan()
    spec = found.spec
    assert load_spec(dump_spec(spec)) == spec
    assert spec.process is not None
    assert spec.linux is not None
    assert spec.process.args == ("sh",)
    assert spec.process.cwd == "/"
    assert spec.process.env == ("PATH=/bin", "HOSTNAME=0123456789ab", "LANG=C", "HOME=/root")
    assert spec.process.capabilities is not None
    assert spec.process.capabilities.bounding == DEFAULT
    assert spec.process.capabilities.effective == DEFAULT
    assert not spec.process.capabilities.inheritable
    assert len(DEFAULT) == 14
    assert spec.hostname == "0123456789ab"
    assert spec.linux.masked_paths == MASKED_PATHS
    assert spec.linux.readonly_paths == READONLY_PATHS
    assert spec.linux.seccomp is None
    assert {one.type for one in spec.linux.namespaces} == {
        "mount", "network", "uts", "pid", "ipc", "cgroup",
    }  # fmt: skip
    assert spec.linux.resources is not None
    assert spec.linux.resources.memory is None
    assert "size=67108864" in mount_at(spec, "/dev/shm").options
    assert "ro" in mount_at(spec, "/sys").options
    assert mount_at(spec, "/etc/hosts").source == f"{HERE.home}/hosts"
    assert spec.root is not None
    assert (spec.root.path, spec.root.readonly) == ("/merged", False)
    assert spec.process.rlimits == (Rlimit("RLIMIT_NOFILE", hard=524288, soft=1024),)


@pytest.mark.parametrize(
    ("image", "flags", "args"),
    [
        ({"entrypoint": ("e",), "cmd": ("c",)}, {}, ("e", "c")),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"command": ("x", "y")}, ("e", "x", "y")),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"entrypoint": ("n",)}, ("n",)),
        ({"entrypoint": ("e",)}, {"entrypoint": (), "command": ("x",)}, ("x",)),
        ({"cmd": ("c", "d")}, {}, ("c", "d")),
    ],
)
def test_arguments(image: Any, flags: Any, args: tuple[str, ...]) -> None:
    assert process(ImageConfig(**image), **flags).args == args


@pytest.mark.parametrize("flags", [{}, {"entrypoint": ()}])
def test_nothing_to_run(flags: Any) -> None:
    with pytest.raises(InvalidRequest, match="no command specified"):
        plan(ImageConfig(), **flags)


def test_variables() -> None:
    file = TextFile("f", "\ufeff# c\n\n  FROM_FILE=a b \r\nCALLER\nLANG=file\nGONE\n")
    found = process(
        env=("A=1", "LANG=flag", "CALLER", "MISSING", "EMPTY=", "A=2"),
        env_files=(file,),
        tty=True,
    )
    values = dict(text.split("=", 1) for text in found.env)
    assert values == {
        "PATH": "/bin",
        "HOSTNAME": "0123456789ab",
        "TERM": "xterm",
        "LANG": "flag",
        "FROM_FILE": "a b ",
        "CALLER": "yes",
        "A": "2",
        "EMPTY": "",
        "HOME": "/root",
    }
    assert found.terminal
    with pytest.raises(InvalidRequest, match="env file f: line 1: invalid name 'A B'"):
        plan(env_files=(TextFile("f", "A B=1"),))
    with pytest.raises(InvalidRequest, match="--env"):
        plan(env=("=x",))


def test_ten_thousand_variables_and_64_kib() -> None:
    found = process(env=tuple(f"V{n}=x" for n in range(10_000)), command=("echo", "x" * 65536))
    assert len(found.env) > 10_000
    with pytest.raises(InvalidRequest, match="argument list too long"):
        plan(command=("echo", "x" * (1 << 20)))


def test_users() -> None:
    found = process(user="web")
    assert (found.user.uid, found.user.gid) == (33, 33)
    assert "HOME=/var/www" in found.env
    assert found.capabilities is not None
    assert found.capabilities.bounding == DEFAULT
    assert found.capabilities.effective == ()
    assert process(replace(IMAGE, user="33:5")).user.gid == 5
    assert process(groups=("7",)).user.additional_gids == (0, 7)
    with pytest.raises(NotFound, match="unable to find user nobody"):
        plan(user="nobody")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"cap_add": ("sys_admin",)}, {*DEFAULT, "CAP_SYS_ADMIN"}),
        ({"cap_drop": ("CAP_CHOWN", "kill,mknod")}, {*DEFAULT} - {"CAP_CHOWN", "CAP_KILL",
                                                                 "CAP_MKNOD"}),
        ({"cap_drop": ("ALL",), "cap_add": ("chown",)}, {"CAP_CHOWN"}),
        ({"cap_add": ("all",), "cap_drop": ("sys_admin",)}, {*CAPABILITIES} - {"CAP_SYS_ADMIN"}),
        ({"privileged": True}, {*CAPABILITIES}),
    ],
)  # fmt: skip
def test_capabilities(flags: Any, expected: set[str]) -> None:
    found = process(**flags).capabilities
    assert found is not None
    assert set(found.bounding) == expected


def test_working_directories() -> None:
    assert process(replace(IMAGE, working_dir="/srv//x/")).cwd == "/srv/x"
    assert process(workdir="/w").cwd == "/w"
    with pytest.raises(InvalidRequest, match="needs to be an absolute path"):
        plan(workdir="w")


def test_limits() -> None:
    spec = plan(
        memory="512M",
        memory_swap="1g",
        memory_reservation="256m",
        cpus="1.5",
        cpu_shares="512",
        cpuset_cpus="0-1",
        pids_limit="100",
        shm_size="1g",
        ulimits=("nofile=10:20", "core=-1", "nproc=5"),
        oom_score_adj="-500",
    ).spec
    assert spec.linux is not None
    assert spec.process is not None
    found = spec.linux.resources
    assert found is not None
    assert found.memory is not None
    assert found.cpu is not None
    assert found.pids is not None
    assert (found.memory.limit, found.memory.swap) == (512 << 20, 1 << 30)
    assert found.memory.reservation == 256 << 20
    assert (found.cpu.quota, found.cpu.period, found.cpu.shares) == (150_000, 100_000, 512)
    assert (found.cpu.cpus, found.pids.limit) == ("0-1", 100)
    assert "size=1073741824" in mount_at(spec, "/dev/shm").options
    limits = {limit.type: (limit.soft, limit.hard) for limit in spec.process.rlimits}
    assert limits["RLIMIT_NOFILE"] == (10, 20)
    assert limits["RLIMIT_CORE"] == (2**64 - 1, 2**64 - 1)
    assert limits["RLIMIT_NPROC"] == (5, 5)
    assert spec.process.oom_score_adj == -500


def test_limits_as_the_kernel_has_them() -> None:
    spec = plan(cpu_quota="20000", cpu_period="40000", cpuset_mems="0", blkio_weight="300").spec
    assert spec.linux is not None
    found = spec.linux.resources
    assert found is not None
    assert found.cpu == Cpu(quota=20_000, period=40_000, mems="0")
    assert found.block_io == BlockIo(weight=300)


@pytest.mark.parametrize("flags", [{"cpus": "0"}, {"memory": "0"}, {"memory": "-1"},
                                   {"pids_limit": "-1"}, {"memory_swap": "-1"}])  # fmt: skip
def test_what_means_no_limit(flags: Any) -> None:
    linux = plan(**flags).spec.linux
    assert linux is not None
    assert linux.resources is not None
    assert linux.resources.cpu is None
    assert linux.resources.pids is None
    assert linux.resources.memory is None or linux.resources.memory.limit is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"memory": "1K"}, "minimum memory limit allowed is 6MB"),
        ({"memory": "much"}, "--memory: it is no size"),
        ({"memory": "1e9"}, "--memory"),
        ({"memory_swap": "1g"}, "it needs --memory"),
        ({"memory": "1g", "memory_swap": "1m"}, "must not be smaller"),
        ({"memory": "1g", "memory_reservation": "2g"}, "must not be larger"),
        ({"cpus": "-1"}, "--cpus"),
        ({"cpus": "0.001"}, "--cpus"),
        ({"cpus": "two"}, "--cpus"),
        ({"cpus": "nan"}, "--cpus"),
        ({"cpu_shares": "-1"}, "--cpu-shares"),
        ({"cpuset_cpus": "0-"}, "--cpuset-cpus"),
        ({"cpuset_mems": "x"}, "--cpuset-mems"),
        ({"blkio_weight": "5"}, "--blkio-weight"),
        ({"cpus": "1", "cpu_quota": "5000"}, "--cpus"),
        ({"cpuset_cpus": "0-99999999999"}, "--cpuset-cpus"),
        ({"pids_limit": "many"}, "--pids-limit"),
        ({"shm_size": "-1"}, "--shm-size"),
        ({"oom_score_adj": "2000"}, "oomScoreAdj"),
        ({"ulimits": ("nofile",)}, "--ulimit"),
        ({"ulimits": ("files=1",)}, "--ulimit"),
        ({"ulimits": ("nofile=2:1",)}, "soft limit"),
        ({"ulimits": ("nofile=x",)}, "--ulimit"),
        ({"cap_add": ("SYS_NOTHING",)}, "unknown capability"),
        ({"sysctls": ("net.ipv4.x",)}, "--sysctl"),
        ({"sysctls": ("kernel.panic=1",)}, "not in a separate kernel namespace"),
        ({"annotations": ("x",)}, "--annotation"),
        ({"labels": ("=x",)}, "--label"),
        ({"hostname": "a b"}, "--hostname"),
        ({"hostname": "a" * 65}, "--hostname"),
        ({"security_opts": ("nothing",)}, "--security-opt"),
        ({"security_opts": ("apparmor=mine",)}, "no such policy"),
        ({"security_opts": ("label=type:x",)}, "no such policy"),
        ({"security_opts": ("no-new-privileges:perhaps",)}, "--security-opt"),
        ({"command": ("a\0b",)}, "NUL"),
    ],
)
def test_bad_flags_are_named(flags: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(**flags)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_security_options() -> None:
    found = plan(security_opts=("no-new-privileges", "mask=/a:/b", "unmask=/proc/kcore",
                                "label=disable", "apparmor=unconfined"))  # fmt: skip
    assert found.spec.process is not None
    assert found.spec.linux is not None
    assert found.spec.process.no_new_privileges
    masked = found.spec.linux.masked_paths
    assert "/a" in masked
    assert "/proc/kcore" not in masked
    for free in ("systempaths=unconfined", "unmask=ALL"):
        linux = plan(security_opts=(free,)).spec.linux
        assert linux is not None
        assert linux.masked_paths == linux.readonly_paths == ()


def test_privileged() -> None:
    spec = plan(privileged=True).spec
    assert spec.linux is not None
    assert spec.linux.masked_paths == ()
    assert "ro" not in mount_at(spec, "/sys").options
    assert spec.linux.resources is not None
    assert [rule.allow for rule in spec.linux.resources.devices] == [True]


def test_mounts_give_way_to_the_users() -> None:
    spec = plan(volumes=("/mine:/dev/shm", "/hosts:/etc/hosts"), tmpfs=("/sys",)).spec
    assert mount_at(spec, "/dev/shm").source == "/mine"
    assert mount_at(spec, "/etc/hosts").source == "/hosts"
    destinations = [mount.destination for mount in spec.mounts]
    assert len(destinations) == len(set(destinations))
    assert "/sys/fs/cgroup" not in destinations
    whole = plan(volumes=("/etc:/etc",)).spec
    assert not [m for m in whole.mounts if m.destination.startswith("/etc/")]


def test_read_only() -> None:
    spec = plan(read_only=True).spec
    assert spec.root is not None
    assert spec.root.readonly
    assert "ro" in mount_at(spec, "/etc/resolv.conf").options


def test_files() -> None:
    files = {file.name: file.text for file in plan(hostname="web").files}
    assert files["hostname"] == "web\n"
    assert "127.0.1.1\tweb\n" in files["hosts"]
    assert files["resolv.conf"] == "nameserver 192.0.2.1\n"


def test_labels_and_annotations() -> None:
    image = replace(IMAGE, labels=(("a", "image"), ("b", "image")))
    file = TextFile("l", "# c\nc=file\n\nd\n")
    found = plan(image, labels=("a=flag", "e"), label_files=(file,), annotations=("k=v=w",))
    expected = {"a": "flag", "b": "image", "c": "file", "d": "", "e": ""}
    assert found.labels == expected
    assert found.spec.annotations == {"k": "v=w"}


PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
    ],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {}, "excludes": {}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arm_x"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    ],
}


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [({}, ["read", "clone", "ptrace"]), ({"cap_add": ("SYS_ADMIN",)}, ["read", "mount", "ptrace"])],
)
def test_seccomp_profiles(flags: Any, allowed: list[str]) -> None:
    linux = plan(seccomp_profile=json.dumps(PROFILE), **flags).spec.linux
    assert linux is not None
    assert linux.seccomp is not None
    assert linux.seccomp.architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86")
    assert [rule.names[0] for rule in linux.seccomp.syscalls] == allowed


@pytest.mark.parametrize("text", ["{", "[]", '{"defaultAction": "NO"}', '{"defaultAction": 7}'])
def test_bad_profiles(text: str) -> None:
    with pytest.raises(InvalidRequest):
        plan(seccomp_profile=text)


def test_the_profile_to_read() -> None:
    def named(*options: str) -> str:
        return seccomp_file(RunOptions(security_opts=options))

    assert named("seccomp=/p.json") == "/p.json"
    assert named("seccomp=/p.json", "seccomp=unconfined") == ""
    assert named("no-new-privileges") == ""
