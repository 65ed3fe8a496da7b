"""A seccomp profile as docker and podman write it, for one container. PURE.

Profiles hold rules for several architectures and sets of capabilities; what is left after
choosing is the runtime specification's. A plain section of a config.json is taken as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci import codec
from enclos.oci.rules_seccomp import check_seccomp
from enclos.oci.seccomp import Seccomp
from enclos.plan.jsonshape import as_list, as_object

_MAX_BYTES: Final = 4 << 20
_ARCHITECTURES: Final = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}
_DOCKERS_OWN: Final = ("archMap", "$schema", "comment")
_CHOOSING: Final = ("includes", "excludes", "comment")


def read_profile(text: str, *, capabilities: tuple[str, ...], architecture: str) -> Seccomp | None:
    """The filter for a container with these capabilities; `None` without a profile.

    Raises `InvalidRequest` naming the member that is wrong.
    """
    if not text:
        return None
    if len(text) > _MAX_BYTES:
        raise _refused(f"{len(text)} characters are too many")
    try:
        raw = as_object(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise _refused(f"not JSON: {error}") from error
    if raw is None:
        raise _refused("it is not an object")
    if "archMap" in raw:
        raw = {**raw, "architectures": _architectures(raw.get("archMap"), architecture)}
    rules = as_list(raw.get("syscalls", [])) or []
    kept = [_rule(rule, capabilities, architecture) for rule in rules]
    plain = {key: value for key, value in raw.items() if key not in _DOCKERS_OWN}
    plain["syscalls"] = [rule for rule in kept if rule is not None]
    found = codec.decode(Seccomp, plain, file="seccomp profile")
    check_seccomp(found)
    return found


def _rule(value: object, capabilities: tuple[str, ...], architecture: str) -> object | None:
    """The rule without its conditions if they hold; anything odd is left to the decoder."""
    rule = as_object(value)
    if rule is None:
        return value
    includes, excludes = as_object(rule.get("includes")), as_object(rule.get("excludes"))
    if includes and not _all_hold(includes, capabilities, architecture):
        return None
    if excludes and _any_holds(excludes, capabilities, architecture):
        return None
    plain = {key: item for key, item in rule.items() if key not in _CHOOSING}
    name = plain.pop("name", None)
    return plain if name is None else {**plain, "names": [name]}


def _all_hold(
    condition: Mapping[str, object], capabilities: tuple[str, ...], architecture: str
) -> bool:
    """Kernel versions are not looked at: the guest's is newer than any that a profile names."""
    names = as_list(condition.get("caps")) or []
    places = as_list(condition.get("arches")) or []
    return all(name in capabilities for name in names) and (not places or architecture in places)


def _any_holds(
    condition: Mapping[str, object], capabilities: tuple[str, ...], architecture: str
) -> bool:
    names = as_list(condition.get("caps")) or []
    places = as_list(condition.get("arches")) or []
    return any(name in capabilities for name in names) or architecture in places


def _architectures(value: object, architecture: str) -> list[object]:
    own = _ARCHITECTURES.get(architecture, "")
    for item in as_list(value) or []:
        entry = as_object(item) or {}
        if entry.get("architecture") == own:
            return [own, *(as_list(entry.get("subArchitectures")) or [])]
    return [own] if own else []


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"seccomp profile: {reason[:200]}",
        hint="give a profile as docker's default.json is written, or seccomp=unconfined",
    )
