"""containerd's configuration: the handler goes in and out, the rest stays to the byte."""

from __future__ import annotations

import tomllib

import pytest

from enclos.errors import InvalidRequest
from enclos.plan import containerdconfig as config

SHIM = "/usr/local/bin/containerd-shim-enclos-v2"
DEBIAN = """\
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
"""
OTHER = """\
version = 3
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
"""


def _handlers(text: str) -> dict[str, dict[str, object]]:
    found = tomllib.loads(text)
    plugin = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}[found["version"]]
    handlers: dict[str, dict[str, object]] = found["plugins"][plugin]["containerd"]["runtimes"]
    return handlers


@pytest.mark.parametrize("text", ["", DEBIAN, OTHER, DEBIAN.rstrip("\n") + "\n", "version = 2\n"])
def test_in_and_out(text: str) -> None:
    after = config.register(text, SHIM)
    assert _handlers(after)["enclos"] == {
        "runtime_type": "io.containerd.enclos.v2",
        "privileged_without_host_devices": True,
        "pod_annotations": ["io.enclos.*"],
    }
    assert after.startswith(text)
    assert config.register(after, SHIM) == after
    assert config.unregister(after) == text


def test_the_last_line_need_not_end() -> None:
    after = config.register(DEBIAN.rstrip("\n"), SHIM)
    assert config.unregister(after) == DEBIAN.rstrip("\n")
    assert "enclos" in _handlers(after)


@pytest.mark.parametrize("text", ["", DEBIAN])
def test_the_default_handler_stays(text: str) -> None:
    """Without any handler in the file it is runc's; with one in it only those are known."""
    runc = _handlers(config.register(text, SHIM))["runc"]
    assert runc == {"runtime_type": "io.containerd.runc.v2"}


def test_what_was_added_later_stays() -> None:
    after = config.register(DEBIAN, SHIM) + "# mine\n"
    assert config.unregister(after) == DEBIAN + "# mine\n"


def test_others_are_kept() -> None:
    assert _handlers(config.register(OTHER, SHIM)).keys() == {"runc", "enclos"}


def test_a_shim_that_is_not_on_the_path_is_named_by_its_own() -> None:
    after = config.register("", '/opt/a "b"/containerd-shim-enclos-v2')
    found = _handlers(after)["enclos"]["runtime_type"]
    assert found == '/opt/a "b"/containerd-shim-enclos-v2'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[plugins\n", "not valid TOML"),
        ("[plugins]\n", "its version is 1"),
        ("version = 9\n", "its version is 9"),
        ('version = 2\nplugins = "x"\n', "is in no table"),
        (OTHER.replace("runc]", "enclos]"), "there is a runtime enclos already"),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        config.register(text, SHIM)
    assert config.unregister(text) == text
