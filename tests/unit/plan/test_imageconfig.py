from __future__ import annotations

import json
from typing import Any

import pytest

from enclos.errors import InvalidRequest
from enclos.plan.imageconfig import ImageConfig, parse_config


def read(raw: Any) -> ImageConfig:
    return parse_config(json.dumps(raw).encode(), image="some/name")


def test_everything_is_read() -> None:
    found = read(
        {
            "created": "2024-01-02T03:04:05Z",
            "architecture": "arm64",
            "variant": "v8",
            "os": "linux",
            "history": [{}],
            "config": {
                "User": "1:2",
                "Env": ["A=1"],
                "Entrypoint": ["/e"],
                "Cmd": None,
                "WorkingDir": "/w",
                "Volumes": {"/b": {}, "/a": {}},
                "ExposedPorts": {"80/tcp": {}},
                "Labels": {"k": "v", "n": None},
                "StopSignal": "SIGQUIT",
                "Healthcheck": {"Test": ["NONE"]},
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:00"]},
        }
    )
    assert found == ImageConfig(
        architecture="arm64",
        os="linux",
        variant="v8",
        created="2024-01-02T03:04:05Z",
        user="1:2",
        env=("A=1",),
        entrypoint=("/e",),
        cmd=(),
        working_dir="/w",
        volumes=("/a", "/b"),
        exposed_ports=("80/tcp",),
        labels=(("k", "v"), ("n", "")),
        stop_signal="SIGQUIT",
        diff_ids=("sha256:00",),
    )


def test_nothing_is_a_configuration_too() -> None:
    assert read({}) == ImageConfig()
    assert read({"config": None, "rootfs": None}) == ImageConfig()


@pytest.mark.parametrize(
    "raw",
    [
        [],
        "x",
        {"config": []},
        {"config": {"Env": "A=1"}},
        {"config": {"Cmd": [1]}},
        {"config": {"User": 7}},
        {"config": {"Volumes": ["/a"]}},
        {"config": {"Labels": {"a": 1}}},
        {"rootfs": {"diff_ids": {}}},
        {"architecture": {}},
    ],
)
def test_wrong_types_are_refused(raw: Any) -> None:
    with pytest.raises(InvalidRequest, match="some/name"):
        read(raw)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="some/name"):
        parse_config(data, image="some/name")
