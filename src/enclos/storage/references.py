"""What a user may write for an image: docker references and skopeo's transports, parsed.

Pure but for the working directory, against which relative paths are resolved. Nothing here
looks whether the image exists.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Final

from enclos.errors import InvalidRequest
from enclos.structs import dataclass

DEMO_NAME: Final = "enclos/demo"
"""The image that the assets build makes; the name never goes to a registry."""
DEFAULT_TAG: Final = "latest"
_DEFAULT_DOMAIN: Final = "docker.io"
_MAX_NAME: Final = 255
_MAX_TEXT: Final = 8192
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Transport(StrEnum):
    """Where an image comes from; the values are skopeo's names, but for the demo's."""

    REGISTRY = "docker"
    LAYOUT = "oci"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"
    CONTAINERS_STORAGE = "containers-storage"
    DOCKER_DAEMON = "docker-daemon"
    DIRECTORY = "dir"
    DEMO = "enclos"


_WITH_PATH: Final = frozenset(
    {Transport.LAYOUT, Transport.OCI_ARCHIVE, Transport.DOCKER_ARCHIVE, Transport.DIRECTORY}
)
_PREFIXES: Final = {str(item): item for item in Transport if item is not Transport.DEMO}


@dataclass(frozen=True, slots=True)
class Reference:
    """One parsed reference.

    `location` is the repository with its registry, the absolute path of a layout or archive,
    or what follows another transport's colon. `tag` is empty where none was given or implied.
    """

    transport: Transport
    location: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The one spelling under which the local store knows this image."""
        text = self.location + (f":{self.tag}" if self.tag else "")
        text += f"@{self.digest}" if self.digest else ""
        if self.transport in {Transport.REGISTRY, Transport.DEMO}:
            return text
        return f"{self.transport}:{text}"

    @property
    def source(self) -> str:
        """The spelling for skopeo, which refuses a tag beside a digest."""
        if self.transport is Transport.REGISTRY:
            tail = f"@{self.digest}" if self.digest else f":{self.tag}"
            return f"docker://{self.location}{tail}"
        return self.name

    @property
    def path(self) -> str:
        """Path of the layout, archive or directory; empty for the other transports."""
        return self.location if self.transport in _WITH_PATH else ""


def parse(text: str) -> Reference:
    """The reference that `text` spells; raises `InvalidRequest` if it spells none."""
    if len(text) > _MAX_TEXT or "\0" in text:
        raise _invalid(text, "it is too long")
    prefix, colon, rest = text.partition(":")
    transport = _PREFIXES.get(prefix) if colon else None
    if transport is None or transport is Transport.REGISTRY:
        return _registry(rest.removeprefix("//") if transport else text)
    if not rest:
        raise _invalid(text, f"nothing follows {prefix}:")
    if transport in _WITH_PATH:
        return _at_path(transport, rest)
    return Reference(transport, rest)


def familiar(name: str) -> str:
    """A repository as docker prints it: without docker.io/ and library/."""
    short = name.removeprefix(f"{_DEFAULT_DOMAIN}/")
    return short.removeprefix("library/") if short != name else name


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag of a `Reference.name`, for listings; `<none>` without a tag."""
    body = name.partition("@")[0]
    repository, colon, tag = body.rpartition(":")
    if not colon or "/" in tag or repository in _PREFIXES:
        return familiar(body), "<none>"
    return familiar(repository), tag


def _at_path(transport: Transport, rest: str) -> Reference:
    if transport is Transport.DIRECTORY:
        return Reference(transport, os.path.abspath(rest))
    path, _, tag = rest.partition(":")  # skopeo, too, cuts at the first colon
    if not path:
        raise _invalid(f"{transport}:{rest}", "the path is empty")
    return Reference(transport, os.path.abspath(path), tag)


def _registry(text: str) -> Reference:
    body, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "the digest is not sha256: and 64 hexadecimal digits")
    name, tag = _split_tag(text, body)
    if len(name) > _MAX_NAME:
        raise _invalid(text, f"the name is longer than {_MAX_NAME} characters")
    domain, path = _split_domain(name)
    if not _DOMAIN.fullmatch(domain):
        raise _invalid(text, f"{domain!r} is no registry")
    _check_path(text, path)
    tag = tag or ("" if digest else DEFAULT_TAG)
    if f"{domain}/{path}" == f"{_DEFAULT_DOMAIN}/{DEMO_NAME}" and not digest:
        return Reference(Transport.DEMO, DEMO_NAME, tag)
    return Reference(Transport.REGISTRY, f"{domain}/{path}", tag, digest)


def _split_tag(text: str, body: str) -> tuple[str, str]:
    head, colon, tag = body.rpartition(":")
    if not colon or "/" in tag:
        return body, ""
    if not _TAG.fullmatch(tag):
        raise _invalid(text, f"{tag[:140]!r} is no tag")
    return head, tag


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (set(first) & set(".:[") or first == "localhost" or first != first.lower()):
        first, rest = _DEFAULT_DOMAIN, name
    if first == "index.docker.io":
        first = _DEFAULT_DOMAIN
    if first == _DEFAULT_DOMAIN and rest and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def _check_path(text: str, path: str) -> None:
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            upper = component != component.lower()
            raise _invalid(text, "it must be lowercase" if upper else "a component is malformed")


def _invalid(text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"invalid image reference {text[:300]!r}: {reason}",
        hint="write NAME[:TAG][@sha256:DIGEST], oci:DIRECTORY[:TAG], oci-archive:FILE or "
        "docker-archive:FILE",
    )
