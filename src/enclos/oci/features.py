"""What this runtime can do, as the specification's features document.

True for the pair of this program and the guest's crun 1.21: what crun could do but the guest
spec's planning refuses or drops is not claimed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from enclos.oci import names

OCI_VERSION_LEAST: Final = "1.0.0"
OCI_VERSION_GREATEST: Final = "1.3.0"

HOOKS: Final = ("prestart createRuntime createContainer startContainer poststart poststop").split()

MOUNT_OPTIONS: Final = (
    "async atime bind copy-symlink defaults dev diratime dirsync exec mand noatime nodev "
    "nodiratime noexec nomand norelatime nostrictatime nosuid private rasync ratime rbind rdev "
    "rdiratime rdirsync relatime remount rexec rmand rnoatime rnodev rnodiratime rnoexec rnomand "
    "rnorelatime rnostrictatime rnosuid ro rprivate rrelatime rro rrw rshared rslave "
    "rstrictatime rsuid rsync runbindable rw shared slave strictatime suid sync tmpcopyup "
    "unbindable idmap ridmap"
).split()
"""crun's; `idmap` and `ridmap` are done on the host."""

SECCOMP_ARCHITECTURES: Final = (
    "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM SCMP_ARCH_MIPS SCMP_ARCH_MIPS64 SCMP_ARCH_MIPS64N32 "
    "SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64 SCMP_ARCH_MIPSEL64N32 SCMP_ARCH_PPC SCMP_ARCH_PPC64 "
    "SCMP_ARCH_PPC64LE SCMP_ARCH_RISCV64 SCMP_ARCH_S390 SCMP_ARCH_S390X SCMP_ARCH_X32 "
    "SCMP_ARCH_X86 SCMP_ARCH_X86_64"
).split()

_SECCOMP: Final = {
    "enabled": True,
    "actions": [action for action in names.SECCOMP_ACTIONS if action != "SCMP_ACT_NOTIFY"],
    "operators": names.SECCOMP_OPERATORS,
    "archs": SECCOMP_ARCHITECTURES,
    "knownFlags": names.SECCOMP_FLAGS,
    "supportedFlags": names.SECCOMP_FLAGS,
}


def document() -> dict[str, Any]:
    """The features document as JSON values."""
    return {
        "ociVersionMin": OCI_VERSION_LEAST,
        "ociVersionMax": OCI_VERSION_GREATEST,
        "hooks": HOOKS,
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": list(names.NAMESPACES),
            "capabilities": names.CAPABILITIES,
            "cgroup": {
                "v1": True,
                "v2": True,
                "systemd": False,
                "systemdUser": False,
                "rdma": False,
            },
            "seccomp": _SECCOMP,
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": False},
        },
        "annotations": {},
        "potentiallyUnsafeConfigAnnotations": [],
    }


def render() -> str:
    """The features document as indented JSON text."""
    return json.dumps(document(), indent=4)
