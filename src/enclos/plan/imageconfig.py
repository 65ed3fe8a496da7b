"""An image's configuration: what its author says about running it. PURE.

Reads the OCI image configuration and docker's, which share these fields. Members this
program has no use for are ignored; a member of the wrong type is an error.
"""

from __future__ import annotations

import json
from typing import Final

from enclos.errors import InvalidRequest
from enclos.plan.jsonshape import as_list, as_object, as_text
from enclos.structs import dataclass

_MAX_CONFIG_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What `docker inspect` shows as Config, as far as it bears on a container."""

    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    created: str = ""
    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    diff_ids: tuple[str, ...] = ()


def parse_config(data: bytes, *, image: str) -> ImageConfig:
    """The configuration in `data`; raises `InvalidRequest` naming `image` if it is none."""
    if len(data) > _MAX_CONFIG_BYTES:
        raise _broken(image, f"{len(data)} bytes are too many")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(image, f"not JSON: {error}") from error
    top = _object(raw, image, "the configuration")
    inner = _object(top.get("config"), image, "config")
    rootfs = _object(top.get("rootfs"), image, "rootfs")
    return ImageConfig(
        architecture=_text(top, image, "architecture"),
        os=_text(top, image, "os") or "linux",
        variant=_text(top, image, "variant"),
        created=_text(top, image, "created"),
        user=_text(inner, image, "User"),
        env=_texts(inner, image, "Env"),
        entrypoint=_texts(inner, image, "Entrypoint"),
        cmd=_texts(inner, image, "Cmd"),
        working_dir=_text(inner, image, "WorkingDir"),
        volumes=_keys(inner, image, "Volumes"),
        exposed_ports=_keys(inner, image, "ExposedPorts"),
        labels=_labels(inner, image),
        stop_signal=_text(inner, image, "StopSignal"),
        diff_ids=_texts(rootfs, image, "diff_ids"),
    )


def _object(raw: object, image: str, what: str) -> dict[str, object]:
    found = as_object({} if raw is None else raw)
    if found is None:
        raise _broken(image, f"{what} is not an object")
    return found


def _text(raw: dict[str, object], image: str, key: str) -> str:
    value = raw.get(key)
    found = as_text("" if value is None else value)
    if found is None:
        raise _broken(image, f"{key} is not a string")
    return found


def _texts(raw: dict[str, object], image: str, key: str) -> tuple[str, ...]:
    value = raw.get(key)
    items = as_list([] if value is None else value)
    texts = tuple(item for item in items or () if isinstance(item, str))
    if items is None or len(texts) != len(items):
        raise _broken(image, f"{key} is not a list of strings")
    return texts


def _keys(raw: dict[str, object], image: str, key: str) -> tuple[str, ...]:
    return tuple(sorted(_object(raw.get(key), image, key)))


def _labels(raw: dict[str, object], image: str) -> tuple[tuple[str, str], ...]:
    labels = _object(raw.get("Labels"), image, "Labels")
    return tuple((key, _text(labels, image, key)) for key in labels)


def _broken(image: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"image {image}: broken configuration: {reason[:200]}",
        hint="pull the image again, or build it anew",
    )
