"""Volumes, binds and tmpfs of a container: -v, --mount, --tmpfs and the image's volumes. PURE.

A request says what is meant; `Volume` ones still need their directory made by the caller.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from enclos.errors import InvalidRequest
from enclos.oci.types import Mount
from enclos.plan.flagtext import bad, size
from enclos.plan.imageconfig import ImageConfig
from enclos.plan.runoptions import RunOptions, Surroundings
from enclos.structs import dataclass

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,200}", re.ASCII)
_PROPAGATIONS: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_NOTHING: Final = frozenset({"", "rw", "z", "Z", "consistent", "cached", "delegated", "default"})
"""Words that ask for what is so anyway: there are no labels of a host's policy in a guest."""
_MOUNT_FLAGS: Final = frozenset({"exec", "noexec", "suid", "nosuid", "dev", "nodev"})
_TMPFS_WORDS: Final = _MOUNT_FLAGS | frozenset(
    "async atime diratime dirsync noatime nodiratime norelatime nostrictatime relatime ro rw "
    "strictatime sync swap noswap".split()
)
_TMPFS_VALUES: Final = frozenset("gid huge mode mpol nr_blocks nr_inodes size uid".split())
_TMPFS_DEFAULTS: Final = ("nosuid", "nodev", "noexec")
_TRUE: Final = frozenset({"", "true", "1", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "0", "False", "FALSE"})


class Source(StrEnum):
    """Where the content of a mount comes from."""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True)
class MountRequest:
    """One mount that was asked for.

    `source` is an absolute path on the host or the name of a volume. `copy`: a new volume
    begins with what the image has at `target`. `anonymous` volumes go with their container.
    """

    kind: Source
    target: str
    source: str = ""
    readonly: bool = False
    options: tuple[str, ...] = ()
    recursive: bool = True
    copy: bool = True
    anonymous: bool = False


def requests(
    image: ImageConfig, options: RunOptions, found: Surroundings
) -> tuple[MountRequest, ...]:
    """Every mount, in the order in which they are mounted: parents before children.

    Raises `InvalidRequest` for a malformed flag or a target that is mounted twice.
    """
    asked = [
        *(from_volume(text, found) for text in options.volumes),
        *(from_mount(text, found) for text in options.mounts),
        *(from_tmpfs(text) for text in options.tmpfs),
    ]
    targets: set[str] = set()
    for request in asked:
        if request.target in targets:
            raise InvalidRequest(
                f"duplicate mount point: {request.target[:200]}", hint="mount there once"
            )
        targets.add(request.target)
    wanted = (_target("volume", path, path) for path in image.volumes)
    implied = (_anonymous(path, found) for path in wanted if path not in targets)
    return tuple(sorted((*asked, *implied), key=lambda request: request.target.count("/")))


def from_volume(text: str, found: Surroundings) -> MountRequest:
    """`SOURCE:TARGET[:OPTIONS]`, or `TARGET` for a volume without a name."""
    parts = text.split(":")
    if len(parts) == 1:
        return _anonymous(_target("volume", text, text), found)
    if len(parts) > 3:
        raise bad("volume", text, "too many colons", hint="write SOURCE:TARGET[:ro]")
    target = _target("volume", text, parts[1])
    request = _volume_or_bind("volume", text, parts[0], target, found)
    return _with_words(request, text, parts[2] if len(parts) == 3 else "")


def from_tmpfs(text: str) -> MountRequest:
    """`TARGET[:OPTIONS]`; options are those of tmpfs(5)."""
    path, _, words = text.partition(":")
    target = _target("tmpfs", text, path)
    options = [_tmpfs_word(text, word) for word in words.split(",") if word]
    undone = {f"no{word}" for word in options}
    kept = [word for word in _TMPFS_DEFAULTS if word not in undone and word not in options]
    return MountRequest(
        Source.TMPFS, target, readonly="ro" in options, options=(*kept, *options), copy=False
    )


def _tmpfs_word(text: str, word: str) -> str:
    name, equals, value = word.partition("=")
    if name not in (_TMPFS_VALUES if equals else _TMPFS_WORDS):
        raise bad("tmpfs", text, f"{word[:80]!r} is no option of tmpfs")
    if name == "size" and not value.endswith("%"):
        return f"size={size('tmpfs', value)}"
    return word


def from_mount(text: str, found: Surroundings) -> MountRequest:
    """`type=…,source=…,target=…,…` with docker's keys; values may be quoted as in CSV."""
    fields = dict(_fields(text))
    kind = _word(text, fields.pop("type", "volume"), [str(item) for item in Source])
    source = _one_of(fields, ("source", "src"))
    target = _target("mount", text, _one_of(fields, ("target", "dst", "destination")))
    readonly = _flag(text, fields, ("readonly", "ro"))
    if kind is Source.TMPFS:
        request = _tmpfs_mount(text, target, source, fields, readonly=readonly)
    elif kind is Source.BIND:
        request = _bind_mount(text, target, source, fields, found=found, readonly=readonly)
    else:
        request = _volume_mount(text, target, source, fields, found=found, readonly=readonly)
    fields.pop("consistency", None)
    if fields:
        raise bad("mount", text, f"unknown or misplaced key {next(iter(fields))[:80]!r}")
    return request


def to_mount(request: MountRequest, found: Surroundings) -> Mount:
    """The request as the specification's mount."""
    if request.kind is Source.TMPFS:
        return Mount(request.target, "tmpfs", "tmpfs", request.options)
    source = request.source
    if request.kind is Source.VOLUME:
        source = posixpath.join(found.volumes, request.source, "_data")
    bind = "rbind" if request.recursive else "bind"
    has_propagation = bool(_PROPAGATIONS & set(request.options))
    words = (bind, *request.options, *(() if has_propagation else ("rprivate",)))
    return Mount(request.target, "bind", source, (*words, "ro") if request.readonly else words)


def _volume_or_bind(
    flag: str, text: str, source: str, target: str, found: Surroundings
) -> MountRequest:
    if source.startswith(("/", "./", "../")) or source in {".", ".."}:
        return MountRequest(Source.BIND, target, _host_path(source, found), copy=False)
    if not _NAME.fullmatch(source):
        raise bad(
            flag,
            text,
            f"{source[:120]!r} is neither a path nor the name of a volume",
            hint="write a path from the root or beginning with ./, or a name of letters and digits",
        )
    return MountRequest(Source.VOLUME, target, source)


def _host_path(source: str, found: Surroundings) -> str:
    return posixpath.normpath(posixpath.join(found.directory, source))


def _with_words(request: MountRequest, text: str, words: str) -> MountRequest:
    """The request with the words after a volume's second colon applied."""
    readonly, copy = request.readonly, request.copy
    options: list[str] = []
    for word in words.split(","):
        if word == "ro":
            readonly = True
        elif word == "nocopy" and request.kind is Source.VOLUME:
            copy = False
        elif word in _PROPAGATIONS or word in _MOUNT_FLAGS:
            options.append(word)
        elif word not in _NOTHING:
            raise bad("volume", text, f"option {word[:80]!r} is not supported")
    return replace(request, readonly=readonly, options=tuple(options), copy=copy)


def _anonymous(target: str, found: Surroundings) -> MountRequest:
    """A volume whose name follows from its container, so that planning again finds it again."""
    name = hashlib.sha256(f"{found.container_id}\0{target}".encode()).hexdigest()
    return MountRequest(Source.VOLUME, target, name, anonymous=True)


def _target(flag: str, text: str, path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise bad(flag, text, "the target is not an absolute path in the container")
    target = posixpath.normpath("/" + path.lstrip("/"))
    if target == "/":
        raise bad(flag, text, "the target must not be the root of the container")
    return target


def _fields(text: str) -> Iterator[tuple[str, str]]:
    import csv  # for this one flag

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise bad("mount", text, f"malformed: {error}") from error
    if len(rows) != 1:
        raise bad("mount", text, "it is empty, or more than one line")
    for field in rows[0]:
        key, _, value = field.partition("=")
        yield key.strip().lower(), value


def _one_of(fields: dict[str, str], keys: Iterable[str]) -> str:
    return next((fields.pop(key) for key in keys if key in fields), "")


def _flag(text: str, fields: dict[str, str], keys: Iterable[str]) -> bool:
    for key in keys:
        value = fields.pop(key, "false")
        if value in _TRUE:
            return True
        if value not in _FALSE:
            raise bad("mount", text, f"{key} is neither true nor false")
    return False


def _word(text: str, value: str, words: list[str]) -> Source:
    if value not in words:
        raise bad("mount", text, f"unknown type {value[:80]!r}", hint=f"use {', '.join(words)}")
    return Source(value)


def _tmpfs_mount(
    text: str, target: str, source: str, fields: dict[str, str], *, readonly: bool
) -> MountRequest:
    if source:
        raise bad("mount", text, "a tmpfs has no source")
    words = [f"size={size('mount', fields.pop('tmpfs-size'))}"] if "tmpfs-size" in fields else []
    mode = fields.pop("tmpfs-mode", "")
    if mode:
        if not re.fullmatch("[0-7]{1,5}", mode):
            raise bad("mount", text, "tmpfs-mode is no octal number")
        words.append(f"mode={mode}")
    options = (*_TMPFS_DEFAULTS, *words, *(["ro"] if readonly else []))
    return MountRequest(Source.TMPFS, target, readonly=readonly, options=options, copy=False)


def _bind_mount(
    text: str,
    target: str,
    source: str,
    fields: dict[str, str],
    *,
    found: Surroundings,
    readonly: bool,
) -> MountRequest:
    if not source:
        raise bad("mount", text, "a bind needs a source")
    propagation = fields.pop("bind-propagation", "")
    if propagation and propagation not in _PROPAGATIONS:
        raise bad("mount", text, f"unknown propagation {propagation[:80]!r}")
    shallow = _flag(text, fields, ("bind-nonrecursive",))
    depth = fields.pop("bind-recursive", "enabled")
    if depth not in {"enabled", "disabled", "writable", "readonly"}:
        raise bad("mount", text, f"unknown bind-recursive {depth[:80]!r}")
    return MountRequest(
        Source.BIND,
        target,
        _host_path(source, found),
        readonly,
        (propagation,) if propagation else (),
        recursive=not shallow and depth != "disabled",
        copy=False,
    )


def _volume_mount(
    text: str,
    target: str,
    source: str,
    fields: dict[str, str],
    *,
    found: Surroundings,
    readonly: bool,
) -> MountRequest:
    copy = not _flag(text, fields, ("volume-nocopy",))
    if not source:
        return replace(_anonymous(target, found), readonly=readonly, copy=copy)
    if not _NAME.fullmatch(source):
        raise bad("mount", text, f"{source[:120]!r} is no name of a volume", hint="use type=bind")
    return MountRequest(Source.VOLUME, target, source, readonly, copy=copy)
