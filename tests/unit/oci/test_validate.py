from __future__ import annotations

import json
from typing import Any

import pytest

from enclos.errors import InvalidRequest
from enclos.oci.load import load_spec
from enclos.oci.validate import validate
from tests.support import specs

MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def check(document: Any) -> None:
    validate(load_spec(json.dumps(document)))


def with_namespaces(*kinds: str) -> Any:
    return specs.put(specs.minimal(), "linux.namespaces", [{"type": kind} for kind in kinds])


@pytest.mark.parametrize("make", [specs.minimal, specs.runc, specs.podman])
def test_what_engines_write_passes(make: Any) -> None:
    check(make())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ociVersion", "1.3.0"),
        ("ociVersion", "1.0.0-rc5-dev"),
        ("process.consoleSize", {"height": 24, "width": 80}),
        ("process.env", ["A=" + "x" * 65536, *(f"V{n}=1" for n in range(10_000))]),
        ("process.args", ["true", "x" * 131071]),
        ("process.scheduler", {"policy": "SCHED_FIFO", "priority": 10}),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 4}),
        ("mounts", [{"destination": "relative", "type": "tmpfs", "source": "tmpfs"}]),
        ("mounts", [{"destination": "/", "options": ["rprivate"]}]),
        ("hooks", {"poststop": [{"path": "/bin/true", "timeout": 1}]}),
        ("linux.resources.memory", {"limit": 1024}),
        ("linux.resources.memory", {"limit": 1 << 60, "swap": -1, "swappiness": 2**64 - 1}),
        ("linux.resources.cpu", {"quota": 0, "period": 0, "cpus": "0-3, 7"}),
        ("linux.resources.cpu", {"quota": -1}),
        ("linux.resources.pids", {"limit": -1}),
        ("linux.devices", [{"path": "/dev/p", "type": "p"}]),
    ],
)
def test_what_runc_takes_passes(path: str, value: Any) -> None:
    check(specs.put(specs.minimal(), path, value))


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("ociVersion", "", "ociVersion: there is none"),
        ("ociVersion", "one", "'one' is no version"),
        ("ociVersion", "2.0.0", "2.0.0 is not supported"),
        ("windows", {}, "windows: the section is for another platform"),
        ("vm", {}, "vm: the section is for another platform"),
        ("process", None, "process: there is none"),
        ("process.args", [], "args must not be empty"),
        ("process.args", [""], "an empty program name"),
        ("process.cwd", "", "Cwd property must not be empty"),
        ("process.cwd", "tmp", "Cwd must be an absolute path, not 'tmp'"),
        ("process.args", ["true", "x" * 131072], "argument list too long"),
        ("process.env", ["x" * 100_000] * 30, "argument list too long"),
        ("process.rlimits", [{"type": "RLIMIT_STACK", "soft": 1, "hard": 1}], ""),
        ("process.capabilities", {"bounding": ["CAP_X"]}, "unknown capability 'CAP_X'"),
        ("process.rlimits", [{"type": "RLIMIT_X"}], "unknown rlimit 'RLIMIT_X'"),
        ("process.rlimits", [{"type": "RLIMIT_AS"}] * 2, "RLIMIT_AS is there twice"),
        ("process.rlimits", [{"type": "RLIMIT_AS", "soft": 2, "hard": 1}], "is over hard limit"),
        ("process.oomScoreAdj", 1001, "is not between -1000 and 1000"),
        ("process.user.umask", 512, "is no umask"),
        ("process.scheduler", {"policy": "SCHED_X"}, "unknown scheduling policy"),
        ("process.scheduler", {"policy": "SCHED_OTHER", "priority": 1}, "takes no priority"),
        ("process.scheduler", {"policy": "SCHED_RR", "runtime": 1}, "takes no runtime"),
        ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 20}, "is no nice value"),
        ("process.ioPriority", {"class": "X"}, "unknown class of I/O priority"),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}, "not between 0 and 7"),
        ("root", None, "root.path: there is none"),
        ("root.path", "", "root.path: there is none"),
        ("root.path", "a" * 4096, "too long for a path"),
        ("hostname", "a", "unable to set hostname without a private UTS namespace"),
        ("hostname", "a" * 65, "65 bytes are too long"),
        ("mounts", [{"type": "tmpfs"}], "mounts[0].destination: there is none"),
        ("mounts", [{"destination": "/a", "type": "bind"}], "a bind mount without a source"),
        ("mounts", [{"destination": "/a", "source": "b"}], "mounts[0].type: there is none"),
        ("hooks", {"poststart": [{"path": "true"}]}, "hooks.poststart[0].path: 'true' is not abs"),
        ("hooks", {"poststop": [{"path": "/t", "timeout": 0}]}, "0 is not greater than 0"),
        ("linux.namespaces", [{"type": "x"}], "unknown namespace type 'x'"),
        ("linux.namespaces", [{"type": "pid"}] * 2, "'pid' is there twice"),
        ("linux.namespaces", [{"type": "pid", "path": "x"}], "'x' is not absolute"),
        ("linux.namespaces", [{"type": "user"}], "a user namespace without mappings"),
        ("linux.uidMappings", MAPPING, "mappings without a user namespace"),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, "offsets without a time namespace"),
        ("linux.sysctl", {"kernel.msgmax": "1"}, "not allowed without a ipc namespace"),
        ("linux.sysctl", {"net/ipv4/conf/a.b/x": "1"}, "not allowed without a network namespace"),
        ("linux.sysctl", {"vm.swappiness": "1"}, "not in a separate kernel namespace"),
        ("linux.sysctl", {"kernel.hostname": "1"}, "it conflicts with the hostname"),
        ("linux.maskedPaths", ["/proc/kcore"], "without a private MNT namespace"),
        ("linux.rootfsPropagation", "x", "unknown propagation 'x'"),
        ("linux.personality", {"domain": "x"}, "unknown domain 'x'"),
        ("linux.intelRdt", {"closID": "a/b"}, "invalid name 'a/b'"),
        ("linux.devices", [{"path": "dev/x", "type": "c"}], "no absolute path of a device"),
        ("linux.devices", [{"path": "/dev/x", "type": "x"}], "unknown device type 'x'"),
        ("linux.devices", [{"path": "/dev/x", "type": "c", "major": -1}], "is no device number"),
        ("linux.resources.devices", [{"type": "x"}], "unknown device type 'x'"),
        ("linux.resources.devices", [{"access": "x"}], "unknown access 'x'"),
        ("linux.resources.devices", [{"major": -2}], "-2 is no device number"),
        ("linux.resources.memory", {"limit": -2}, "limit: -2 is no size"),
        ("linux.resources.memory", {"swap": 1}, "unable to set swap limit without memory limit"),
        (
            "linux.resources.memory",
            {"limit": 2, "swap": 1},
            "memory+swap limit should be >= memory",
        ),
        ("linux.resources.memory", {"swappiness": 101}, "101 is over 100"),
        ("linux.resources.cpu", {"cpus": "3-1"}, "'3-1' is no list"),
        ("linux.resources.cpu", {"cpus": "a"}, "'a' is no list"),
        ("linux.resources.cpu", {"cpus": "0-99999999999"}, "is no list"),
        ("linux.resources.cpu", {"period": 10}, "are not between 1 ms and 1 s"),
        ("linux.resources.cpu", {"quota": 10}, "are under 1 ms"),
        ("linux.resources.cpu", {"idle": 2}, "neither 0 nor 1"),
        ("linux.resources.blockIO", {"weight": 5}, "5 is no weight"),
        ("linux.resources.hugepageLimits", [{"pageSize": "2M"}], "'2M' is no page size"),
        ("linux.resources.unified", {"a/b": "1"}, "is no file of a cgroup"),
        ("linux.seccomp", {"defaultAction": "X"}, "unknown action 'X'"),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_LOG", "flags": ["X"]}, "unknown flag 'X'"),
    ],
)
def test_nonsense_is_named(path: str, value: Any, found: str) -> None:
    document = specs.put(specs.minimal(), path, value)
    if not found:
        check(document)
        return
    with pytest.raises(InvalidRequest) as caught:
        check(document)
    assert found in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"names": [], "action": "SCMP_ACT_LOG"}, "no system call is named"),
        ({"names": ["a"], "action": "X"}, "unknown action 'X'"),
        ({"names": ["a"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}, "returns no error number"),
        ({"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}, "is no error number"),
        ({"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"op": "X"}]}, "unknown operator 'X'"),
        (
            {"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"op": "SCMP_CMP_EQ", "index": 6}]},
            "has no argument 6",
        ),
    ],
)
def test_seccomp_rules(rule: Any, found: str) -> None:
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    with pytest.raises(InvalidRequest, match=found):
        check(specs.put(specs.minimal(), "linux.seccomp", seccomp))


def test_a_bigger_stack_takes_more_arguments() -> None:
    document = specs.put(specs.minimal(), "process.env", ["x" * 100_000] * 30)
    limit = {"type": "RLIMIT_STACK", "soft": 64 << 20, "hard": 64 << 20}
    check(specs.put(document, "process.rlimits", [limit]))


def test_namespaces_allow_what_belongs_to_them() -> None:
    document = with_namespaces("ipc", "network", "uts", "mount", "time")
    document = specs.put(document, "hostname", "h")
    sysctl = {"kernel.msgmax": "1", "net.core.somaxconn": "1", "kernel.domainname": "d"}
    document["linux"] |= {
        "sysctl": sysctl,
        "maskedPaths": ["/proc/kcore"],
        "timeOffsets": {"monotonic": {"secs": 1}},
    }
    check(document)


def test_mapped_mounts_want_a_user_namespace() -> None:
    mount = {"destination": "/a", "source": "/b", "options": ["bind"]}
    mapped = mount | {"uidMappings": MAPPING, "gidMappings": MAPPING}
    with pytest.raises(InvalidRequest, match="mappings without a user namespace"):
        check(specs.put(specs.minimal(), "mounts", [mapped]))
    document = with_namespaces("user")
    document["linux"] |= {"uidMappings": MAPPING, "gidMappings": MAPPING}
    check(specs.put(document, "mounts", [mapped]))


@pytest.mark.parametrize(
    ("mapping", "found"),
    [
        ({"size": 0}, "an empty range"),
        ({"hostID": 2**32 - 1, "size": 2}, "ends beyond the last id"),
    ],
)
def test_mappings_stay_within_the_ids(mapping: Any, found: str) -> None:
    document = with_namespaces("user")
    document["linux"] |= {"uidMappings": [mapping], "gidMappings": MAPPING}
    with pytest.raises(InvalidRequest, match=found):
        check(document)
