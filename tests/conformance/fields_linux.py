"""Rows about `linux`, but for its resources."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.rows import NOBODY, Row, adding, at, together

DEVICE: Final = {
    "path": "/dev/mine",
    "type": "c",
    "major": 1,
    "minor": 3,
    "fileMode": 0o640,
    "uid": 12,
    "gid": 34,
}
SYSLOG: Final = ["CAP_SYSLOG"]
KMSG: Final = {"path": "/dev/log", "type": "c", "major": 1, "minor": 11}
KMSG_ALLOWED: Final = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}
KMSG_THERE: Final = together(
    at("linux.devices", [KMSG]),
    at("process.capabilities", dict.fromkeys(("bounding", "effective", "permitted"), SYSLOG)),
)
"""The kernel lets only this capability open it; the container's cgroup has the other say."""
OPEN: Final = "(: </dev/log) 2>/dev/null && echo open || echo closed"
IDS: Final = [{"containerID": 0, "hostID": 100000, "size": 65536}]
USERS: Final = together(
    adding("linux.namespaces", {"type": "user"}),
    at("linux.uidMappings", IDS),
    at("linux.gidMappings", IDS),
)
PROPAGATION: Final = 'busybox awk \'$5=="/" {sub(/:.*/, "", $7); print $7}\' /proc/self/mountinfo'


def _filter(*rules: dict[str, Any], **members: Any) -> Any:
    plain = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}
    return at("linux.seccomp", plain | members | {"syscalls": list(rules)})


def _errno(*names: str, number: int, **members: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": number, **members}


MKDIR: Final = _errno("mkdir", "mkdirat", number=95)
PERSONALITY_ALONE: Final = {"index": 0, "value": 0xFFFFFFFF, "op": "SCMP_CMP_EQ"}

ROWS: Final = (
    Row(
        "linux.namespaces, pid",
        together(),
        "echo $$; ls /proc | busybox grep -c '^[0-9]'",
        "1\n\\d+",
        same=False,
    ),
    Row("linux.namespaces, network", together(), "ls /sys/class/net", "lo"),
    Row("linux.namespaces, ipc", together(), "busybox wc -l </proc/sysvipc/shm", "1"),
    Row(
        "linux.namespaces, cgroup",
        together(),
        "busybox cut -d: -f3 /proc/self/cgroup | busybox sort -u",
        "/",
        peer=NOBODY,
    ),
    Row("linux.namespaces, mount", together(), "busybox mount | busybox grep -c ' / '", "1"),
    Row(
        "linux.namespaces, user",
        USERS,
        "busybox awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; id -u",
        "0 100000 65536\n0 100000 65536\n0",
    ),
    Row(
        "linux.namespaces, time",
        together(
            adding("linux.namespaces", {"type": "time"}),
            at("linux.timeOffsets.boottime", {"secs": 86400, "nanosecs": 5}),
        ),
        "busybox awk '$1==\"boottime\" {print $2, $3}' /proc/self/timens_offsets",
        "86400 5",
        peer=NOBODY,
    ),
    Row(
        "linux.maskedPaths, a file",
        at("linux.maskedPaths", ["/proc/uptime"]),
        "wc -c </proc/uptime",
        "0",
    ),
    Row(
        "linux.maskedPaths, a directory",
        at("linux.maskedPaths", ["/sys/kernel"]),
        "ls /sys/kernel | wc -l",
        "0",
    ),
    Row(
        "linux.maskedPaths, one that is not there",
        at("linux.maskedPaths", ["/not/there"]),
        "echo fine",
        "fine",
        nightly=True,
    ),
    Row(
        "linux.readonlyPaths",
        at("linux.readonlyPaths", ["/tmp"]),
        "touch /tmp/x 2>&1",
        ".*Read-only file system",
        code=1,
    ),
    Row(
        "linux.readonlyPaths, as runc's own list",
        together(),
        "touch /proc/sys/kernel/x 2>&1",
        ".*(Read-only file system|No such file or directory|Permission denied)",
        code=1,
        nightly=True,
    ),
    Row(
        "linux.sysctl",
        at("linux.sysctl", {"kernel.shmmni": "1234", "net.ipv4.ip_forward": "1"}),
        "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward",
        "1234\n1",
    ),
    Row(
        "linux.sysctl, with slashes",
        at("linux.sysctl", {"net/ipv4/ping_group_range": "5 6"}),
        "cat /proc/sys/net/ipv4/ping_group_range",
        "5\t6",
        nightly=True,
    ),
    Row(
        "linux.devices",
        at("linux.devices", [DEVICE]),
        "busybox stat -c '%F %t:%T %a %u %g' /dev/mine",
        "character special file 1:3 640 12 34",
    ),
    Row(
        "linux.devices, a pipe",
        at("linux.devices", [{"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]),
        "busybox stat -c '%F %a' /dev/pipe",
        "fifo 600",
        nightly=True,
    ),
    Row(
        "the default devices",
        together(),
        "for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo $d; done; "
        "for l in fd stdin stdout stderr ptmx; do [ -L /dev/$l ] || echo $l; done; "
        "busybox stat -c '%n %a %u %g' /dev/null /dev/tty",
        "/dev/null 666 0 0\n/dev/tty 666 0 (0|5)",
    ),
    Row("linux.resources.devices, not allowed", KMSG_THERE, OPEN, "closed"),
    Row(
        "linux.resources.devices, allowed",
        together(KMSG_THERE, adding("linux.resources.devices", KMSG_ALLOWED)),
        OPEN,
        "open",
    ),
    Row("linux.seccomp", _filter(MKDIR), "busybox mkdir /tmp/x 2>&1", ".*not supported", code=1),
    Row(
        "linux.seccomp, all but some",
        at(
            "linux.seccomp",
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                "syscalls": [_errno("sethostname", number=38), MKDIR],
            },
        ),
        "busybox mkdir /tmp/x 2>/dev/null || echo refused; busybox grep Seccomp: /proc/self/status",
        "refused\nSeccomp:\t2",
        peer="crun",
        nightly=True,
    ),
    Row(
        "linux.seccomp, by arguments",
        _filter(
            _errno("kill", number=95, args=[{"index": 1, "value": 23, "op": "SCMP_CMP_EQ"}]),
            _errno(
                "umask",
                number=95,
                args=[{"index": 0, "value": 0o777, "valueTwo": 0o123, "op": "SCMP_CMP_MASKED_EQ"}],
            ),
        ),
        "kill -0 $$ && echo allowed; kill -23 $$ 2>/dev/null || echo refused",
        "allowed\nrefused",
    ),
    Row(
        "linux.seccomp, a default of its own",
        at(
            "linux.seccomp",
            {
                "defaultAction": "SCMP_ACT_ERRNO",
                "defaultErrnoRet": 95,
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["exit_group"], "action": "SCMP_ACT_ALLOW"}],
            },
        ),
        "echo never",
        "",
        code=1,
        nightly=True,
    ),
    *(
        Row(
            f"linux.rootfsPropagation, {word}",
            at("linux.rootfsPropagation", word),
            PROPAGATION,
            wanted,
            peer="crun",
            nightly=word not in {"shared", "private"},
        )
        for word, wanted in (
            ("private", "-"),
            ("shared", "shared"),
            ("slave", "-|master"),
            ("rprivate", "-"),
            ("rshared", "shared"),
            ("unbindable", "unbindable"),
        )
    ),
    Row(
        "linux.personality.domain",
        at("linux.personality", {"domain": "LINUX32"}),
        "uname -m",
        "i686",
        peer="crun",
    ),
    Row(
        "process.execCPUAffinity",
        at("process.execCPUAffinity", {"initial": "0", "final": "0"}),
        "echo started",
        "started",
        peer=NOBODY,
        nightly=True,
    ),
)
