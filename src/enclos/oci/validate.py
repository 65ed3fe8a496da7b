"""Says whether a spec makes sense, by runc's rules: raises `InvalidRequest` with a hint if not.

The rules about a process, the `linux` section, resources and seccomp are in files of their
own. What this runtime in particular cannot do is refused where the guest's spec is planned.
"""

from __future__ import annotations

import re
from typing import Final

from enclos.oci import rules_linux, rules_process
from enclos.oci.complaint import refusal
from enclos.oci.names import PLATFORMS, PROPAGATIONS
from enclos.oci.types import Hooks, Mount, Spec

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_CHANGES: Final = frozenset({"remount", *PROPAGATIONS})
"""Options that change a mount already there, and so need no type."""
_HOSTNAME_BYTES: Final = 64
_PATH_BYTES: Final = 4095


def validate(spec: Spec) -> None:
    """Raises `InvalidRequest` naming the first member that makes no sense."""
    _check_version(spec.oci_version)
    _check_platform(spec)
    _check_root(spec)
    if spec.process is None:
        raise refusal("process", "there is none", "say what to run in process.args")
    rules_process.check_process(spec.process)
    _check_names(spec)
    for at, mount in enumerate(spec.mounts):
        _check_mount(f"mounts[{at}]", mount, spec)
    if spec.hooks is not None:
        _check_hooks(spec.hooks)
    if spec.linux is not None:
        rules_linux.check_linux(spec.linux)


def _check_version(version: str) -> None:
    match = _VERSION.fullmatch(version)
    if match is None:
        wrong = f"{version[:80]!r} is no version" if version else "there is none"
        raise refusal("ociVersion", wrong, 'write a semantic version such as "1.0.2"')
    if match.group(1) != "1":
        raise refusal("ociVersion", f"{version[:80]} is not supported", "use a version 1.x.y")


def _check_platform(spec: Spec) -> None:
    for name in PLATFORMS:
        if name in spec.extra:
            hint = f"this runtime runs Linux containers: remove the section {name!r}"
            raise refusal(name, "the section is for another platform", hint)


def _check_root(spec: Spec) -> None:
    if spec.root is None or not spec.root.path:
        raise refusal("root.path", "there is none", "name the root file system's directory")
    _check_length("root.path", spec.root.path)


def _check_names(spec: Spec) -> None:
    for member, value in (("hostname", spec.hostname), ("domainname", spec.domainname)):
        if len(value.encode()) > _HOSTNAME_BYTES:
            hint = f"use at most {_HOSTNAME_BYTES} bytes"
            raise refusal(member, f"{len(value.encode())} bytes are too long", hint)
        if value and (spec.linux is None or spec.linux.namespace("uts") is None):
            wrong = f"unable to set {member} without a private UTS namespace"
            raise refusal(member, wrong, 'add {"type":"uts"} to linux.namespaces')


def _check_mount(where: str, mount: Mount, spec: Spec) -> None:
    if not mount.destination:
        raise refusal(f"{where}.destination", "there is none", "name the path in the container")
    _check_length(f"{where}.destination", mount.destination)
    _check_length(f"{where}.source", mount.source)
    if mount.binds and not mount.source:
        hint = "name the file or directory to bind"
        raise refusal(f"{where}.source", "a bind mount without a source", hint)
    if not mount.binds and not mount.type and not _CHANGES & set(mount.options):
        hint = 'name the file system, such as "tmpfs", or add the option "bind"'
        raise refusal(f"{where}.type", "there is none", hint)
    if mount.uid_mappings or mount.gid_mappings:
        _check_mapped_mount(where, mount, spec)


def _check_mapped_mount(where: str, mount: Mount, spec: Spec) -> None:
    if not mount.binds:
        hint = 'add the option "bind", or remove the mappings'
        raise refusal(where, "uidMappings and gidMappings are for bind mounts only", hint)
    if not mount.uid_mappings or not mount.gid_mappings:
        raise refusal(where, "uidMappings and gidMappings go together", "give both")
    rules_linux.check_mappings(f"{where}.uidMappings", mount.uid_mappings)
    rules_linux.check_mappings(f"{where}.gidMappings", mount.gid_mappings)
    if spec.linux is None or spec.linux.namespace("user") is None:
        hint = 'add {"type":"user"} to linux.namespaces'
        raise refusal(where, "mappings without a user namespace", hint)


def _check_length(member: str, path: str) -> None:
    if len(path.encode()) > _PATH_BYTES:
        hint = f"a path has at most {_PATH_BYTES} bytes"
        raise refusal(member, f"{len(path.encode())} bytes are too long for a path", hint)


def _check_hooks(hooks: Hooks) -> None:
    moments = {
        "prestart": hooks.prestart,
        "createRuntime": hooks.create_runtime,
        "createContainer": hooks.create_container,
        "startContainer": hooks.start_container,
        "poststart": hooks.poststart,
        "poststop": hooks.poststop,
    }
    for moment, entries in moments.items():
        for at, hook in enumerate(entries):
            where = f"hooks.{moment}[{at}]"
            if not hook.path.startswith("/"):
                wrong = f"{hook.path[:80]!r} is not absolute"
                raise refusal(f"{where}.path", wrong, "write the absolute path of the program")
            if hook.timeout is not None and hook.timeout <= 0:
                wrong = f"{hook.timeout} is not greater than 0"
                raise refusal(f"{where}.timeout", wrong, "give seconds, or leave it out")
