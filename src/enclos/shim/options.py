"""The runtime's options: a typed message that clients hand to `start` and to Create.

containerd 2.3 sends `start` another message on the same descriptor, with the options as one of its
extensions. Its bytes read as an Any of an unknown type as well, and an Any's as one of these: what
is no known type is the other message if it names the container and namespace of the flags.

A member that changes nothing here is named in the log, not refused: a handler's options come with
every pod, and a node on which none starts helps nobody.
"""

from __future__ import annotations

from typing import Final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from enclos import log
from enclos.errors import InvalidRequest
from enclos.shim.asked import Options
from enclos.shim.proto import bootstrap_pb2, runcoptions_pb2, runtimeoptions_pb2

_PREFIX: Final = "type.googleapis.com/"
_RUNTIME: Final = runtimeoptions_pb2.Options.DESCRIPTOR.full_name
_RUNC: Final = runcoptions_pb2.Options.DESCRIPTOR.full_name
_KNOWN: Final = frozenset({_RUNTIME, _RUNC})
_HONOURED: Final = frozenset(
    ("no_pivot_root", "no_new_keyring", "systemd_cgroup", "task_api_address", "task_api_version")
)
"""Of runc's: what is done, what the guest does anyway, and what containerd says to itself."""
_MOST_WARNINGS: Final = 32


def parse(data: bytes, *, name: str, namespace: str) -> Options:
    """What `start` was told, with the container and namespace that its flags say.

    What does not parse at all is none; raises `InvalidRequest` as `read` does.
    """
    wrapped = any_pb2.Any()
    if _parsed(wrapped, data) and _kind(wrapped) in _KNOWN:
        return read(wrapped)
    params = bootstrap_pb2.BootstrapParams()
    if _parsed(params, data) and (params.instance_id, params.namespace) == (name, namespace):
        return _extended(params)
    if data:
        log.info("options of an unknown type", type=wrapped.type_url[:80], bytes=len(data))
    return Options()


def _parsed(message: Message, data: bytes) -> bool:
    try:
        message.ParseFromString(data)
    except DecodeError:
        return False
    return True


def _extended(params: bootstrap_pb2.BootstrapParams) -> Options:
    """The options among the extensions, of which others are for nobody here."""
    for extension in params.extensions:
        if _kind(extension.value) in _KNOWN:
            return read(extension.value)
    return Options()


def _kind(wrapped: any_pb2.Any) -> str:
    return wrapped.type_url.removeprefix(_PREFIX)


def read(wrapped: any_pb2.Any) -> Options:
    """The options in an Any; raises `InvalidRequest` where a known type does not parse."""
    kind = _kind(wrapped)
    try:
        if kind == _RUNTIME:
            found = runtimeoptions_pb2.Options.FromString(wrapped.value)
            _warn(kind, _unknown(found))
            return Options(found.config_path, found.config_body)
        if kind == _RUNC:
            runc = runcoptions_pb2.Options.FromString(wrapped.value)
            set_here = {member.name for member, _ in runc.ListFields()}
            _warn(kind, [*sorted(set_here - _HONOURED), *_unknown(runc)])
            return Options(systemd_cgroup=runc.systemd_cgroup)
    except DecodeError as error:
        raise InvalidRequest(f"options of type {kind}: {error}") from error
    if kind:
        log.info("options of an unknown type", type=kind[:80])
    return Options()


def _unknown(message: Message) -> list[str]:
    """Members that newer clients have, by number: the names are theirs."""
    found = UnknownFieldSet(message)
    return [f"member {found[at].field_number}" for at in range(len(found))]


def _warn(kind: str, members: list[str]) -> None:
    for member in members[:_MOST_WARNINGS]:
        log.warning("a runtime option changes nothing here", type=kind, option=member)
