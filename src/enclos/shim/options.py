"""The runtime's options: a typed message that clients hand to `start` and to Create.

Only known types are looked into: containerd 2.3 sends another message on the same descriptor,
whose bytes read as an option of an unknown type.
"""

from __future__ import annotations

from typing import Final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from enclos import log
from enclos.errors import InvalidRequest
from enclos.shim.proto import runcoptions_pb2, runtimeoptions_pb2
from enclos.structs import dataclass

_PREFIX: Final = "type.googleapis.com/"
_RUNTIME: Final = runtimeoptions_pb2.Options.DESCRIPTOR.full_name
_RUNC: Final = runcoptions_pb2.Options.DESCRIPTOR.full_name
MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What they say. `config_path` names a file of settings, `config_body` is one as text."""

    config_path: str = ""
    config_body: bytes = b""
    systemd_cgroup: bool = False


def parse(data: bytes) -> Options:
    """The options in a serialized Any; none for an empty or a strange one."""
    wrapped = any_pb2.Any()
    try:
        wrapped.ParseFromString(data)
    except DecodeError:
        log.info("options that are none", bytes=len(data))
        return Options()
    return read(wrapped)


def read(wrapped: any_pb2.Any) -> Options:
    """The options in an Any; raises `InvalidRequest` where a known type does not parse."""
    kind = wrapped.type_url.removeprefix(_PREFIX)
    try:
        if kind == _RUNTIME:
            found = runtimeoptions_pb2.Options.FromString(wrapped.value)
            return Options(found.config_path, found.config_body)
        if kind == _RUNC:
            runc = runcoptions_pb2.Options.FromString(wrapped.value)
            return Options(systemd_cgroup=runc.systemd_cgroup)
    except DecodeError as error:
        raise InvalidRequest(f"options of type {kind}: {error}") from error
    if kind:
        log.info("options of an unknown type", type=kind[:80])
    return Options()
