"""Rows about `mounts`: file systems, options, propagation. Binds of host directories are in
test_mounts, which has to make them first."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.rows import NOBODY, Row, adding, at, together, without

WHERE: Final = "/m"
KIND: Final = f"busybox awk '$2==\"{WHERE}\" {{print $3}}' /proc/mounts"
OPTIONS: Final = f"busybox awk '$5==\"{WHERE}\" {{print $6}}' /proc/self/mountinfo"
PROPAGATION: Final = (
    f'busybox awk \'$5=="{WHERE}" {{sub(/:.*/, "", $7); print $7}}\' /proc/self/mountinfo'
)


def _mount(kind: str, *options: str, source: str = "") -> Any:
    entry = {"destination": WHERE, "type": kind, "source": source or kind}
    return adding("mounts", entry | {"options": list(options)})


def _tmpfs(destination: str, *options: str) -> dict[str, Any]:
    kind = {"type": "tmpfs", "source": "tmpfs"}
    return {"destination": destination, **kind, "options": list(options)}


ROWS: Final = (
    Row(
        "mounts, a tmpfs with a size",
        adding("mounts", _tmpfs("/new/place", "size=64k", "nosuid")),
        "busybox df -k /new/place | busybox awk 'NR==2 {print $2}'",
        "64",
    ),
    Row(
        "mounts, a tmpfs with owner and mode",
        adding("mounts", _tmpfs("/a", "mode=1750", "uid=12", "gid=34")),
        "busybox stat -c '%a %u %g' /a",
        "1750 12 34",
    ),
    Row(
        "mounts, tmpcopyup",
        adding("mounts", _tmpfs("/etc", "tmpcopyup")),
        "cat /etc/passwd; busybox awk '$2==\"/etc\" {print $3}' /proc/mounts",
        "root:x:0:0:root:/:/bin/sh\ntmpfs",
    ),
    Row(
        "mounts, the later one on top",
        adding("mounts", _tmpfs("/a", "size=64k"), _tmpfs("/a/b", "size=128k")),
        "busybox df -k /a/b | busybox awk 'NR==2 {print $2}'",
        "128",
        nightly=True,
    ),
    *(
        Row(f"mounts, {kind}", _mount(kind), KIND, wanted, nightly=kind in {"devpts", "sysfs"})
        for kind, wanted in (
            ("tmpfs", "tmpfs"),
            ("proc", "proc"),
            ("sysfs", "sysfs"),
            ("mqueue", "mqueue"),
            ("devpts", "devpts"),
        )
    ),
    Row(
        "mounts, cgroup",
        together(),
        "busybox awk '$2==\"/sys/fs/cgroup\" {print $3, $4}' /proc/mounts",
        "cgroup2 ro,.*",
        differs="Control groups are of version 2",
        theirs="tmpfs r[ow],.*",
    ),
    Row(
        "mounts, devpts of its own",
        together(),
        "ls /dev/pts; busybox stat -c %a /dev/ptmx /dev/pts/ptmx",
        "ptmx\n777\n666",
    ),
    *(
        Row(
            f"mounts, {' '.join(options)}",
            _mount("tmpfs", *options),
            OPTIONS,
            wanted,
            nightly=at_night,
        )
        for options, wanted, at_night in (
            (("ro", "nosuid", "nodev", "noexec"), "ro,nosuid,nodev,noexec,relatime", False),
            (("rw",), "rw,relatime", True),
            (("noatime", "nodiratime"), "rw,noatime,nodiratime", True),
            (("strictatime",), "rw", True),
            (("nosuid", "suid"), "rw,relatime", True),
            (("noexec", "exec", "nodev", "dev", "ro", "rw"), "rw,relatime", True),
            (("noatime", "atime"), "rw(,relatime)?", True),
            (("sync", "dirsync"), "rw,relatime", True),
        )
    ),
    *(
        Row(
            f"mounts, {word}",
            _mount("tmpfs", word),
            PROPAGATION,
            wanted,
            nightly=word.startswith("r"),
        )
        for word, wanted in (
            ("private", "-"),
            ("rprivate", "-"),
            ("shared", "shared"),
            ("rshared", "shared"),
            ("slave", "-"),
            ("rslave", "-"),
            ("unbindable", "unbindable"),
            ("runbindable", "unbindable"),
        )
    ),
    Row(
        "mounts, over a link in the image",
        together(
            adding("mounts", _tmpfs("/bin/../tmp/there", "size=64k")),
        ),
        "busybox df -k /tmp/there | busybox awk 'NR==2 {print $2}'",
        "64",
        nightly=True,
    ),
    Row(
        "mounts, without a /proc",
        without("mounts", "destination", "/proc"),
        "ls /proc | wc -l",
        "0",
        peer="crun",
        nightly=True,
    ),
    Row("mounts, none", at("mounts", []), "ls /dev /sys | wc -l", r"\d+", peer=NOBODY),
    Row("mounts, defaults", _mount("tmpfs", "defaults"), OPTIONS, "rw,relatime", peer="crun"),
)
