"""The runtime's options: in an Any, in containerd 2.3's message, and members without a meaning."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.shim import options
from enclos.shim.asked import Options
from enclos.shim.proto import bootstrap_pb2, runcoptions_pb2, runtimeoptions_pb2

RUNTIME = "runtimeoptions.v1.Options"
RUNC = "containerd.runc.v1.Options"
CONFIG = runtimeoptions_pb2.Options(config_path="/etc/x")


def _any(kind: str, value: bytes) -> Any:
    return Any(type_url=kind, value=value)


def _parse(data: bytes) -> Options:
    return options.parse(data, name="c1", namespace="ns")


@pytest.mark.parametrize("kind", [RUNTIME, f"type.googleapis.com/{RUNTIME}"])
def test_options_of_any_runtime(kind: str) -> None:
    told = _parse(_any(kind, CONFIG.SerializeToString()).SerializeToString())
    assert told == Options("/etc/x")


def test_nothing_and_strange_things_are_no_options() -> None:
    for data in (b"", b"\xff\xff", _any("some.Type", b"x").SerializeToString()):
        assert _parse(data) == Options()


def test_the_message_of_containerd_2_3() -> None:
    params = bootstrap_pb2.BootstrapParams(instance_id="c1", namespace="ns", log_level=-4)
    assert _parse(params.SerializeToString()) == Options()
    for kind in ("some.Type", RUNTIME):
        params.extensions.add(value=_any(kind, CONFIG.SerializeToString()))
    assert _parse(params.SerializeToString()) == Options("/etc/x")


def test_the_message_for_another_container_is_none_for_this_one() -> None:
    params = bootstrap_pb2.BootstrapParams(instance_id="c2", namespace="ns")
    params.extensions.add(value=_any(RUNTIME, CONFIG.SerializeToString()))
    assert _parse(params.SerializeToString()) == Options()


def test_runcs_options_that_mean_nothing_here_are_named(
    capfd: pytest.CaptureFixture[str],
) -> None:
    runc = runcoptions_pb2.Options(systemd_cgroup=True, no_pivot_root=True, io_uid=7, root="/r")
    newer = runc.SerializeToString() + bytes((20 << 3 & 0x7F | 0x80, 20 << 3 >> 7, 1))
    assert options.read(_any(RUNC, newer)) == Options(systemd_cgroup=True)
    lines = capfd.readouterr().err.splitlines()
    assert [line.rpartition("option=")[2] for line in lines] == ["io_uid", "root", "member 20"]
    assert all(" warning " in line for line in lines)


def test_members_that_are_not_set_are_nobodys_business(capfd: pytest.CaptureFixture[str]) -> None:
    options.read(_any(RUNC, runcoptions_pb2.Options(no_new_keyring=True).SerializeToString()))
    options.read(_any(RUNTIME, CONFIG.SerializeToString()))
    assert capfd.readouterr().err == ""


def test_a_known_type_that_does_not_parse_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=RUNC):
        options.read(_any(RUNC, b"\xff"))


@given(st.binary(max_size=200))
def test_any_bytes_are_options_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(_parse(data), Options)
