from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos import errors
from enclos.errors import EnclosError, InvalidRequest
from enclos.shim import calls
from enclos.shim.proto import task_pb2, ttrpc_pb2
from enclos.wire.codec import CodecError
from enclos.wire.frames import FrameError


def test_a_request_is_read() -> None:
    request = ttrpc_pb2.Request(
        service="s",
        method="m",
        payload=b"p",
        timeout_nano=1_500_000_000,
        metadata=[ttrpc_pb2.KeyValue(key="k", value="v")],
    )
    call = calls.decode_call(request.SerializeToString())
    assert (call.service, call.method, call.payload) == ("s", "m", b"p")
    assert call.timeout_s == 1.5
    assert call.metadata == {"k": "v"}


@pytest.mark.parametrize("nanoseconds", [0, -1])
def test_no_time_limit_is_none(nanoseconds: int) -> None:
    request = ttrpc_pb2.Request(timeout_nano=nanoseconds)
    assert calls.decode_call(request.SerializeToString()).timeout_s is None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert calls.decode_call(data).timeout_s != 0


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        found = calls.decode_message(task_pb2.CreateTaskRequest, data)
        assert isinstance(found, task_pb2.CreateTaskRequest)


@pytest.mark.parametrize("kind", list(errors.TTRPC_CODES))
def test_every_error_has_its_code(kind: type[EnclosError]) -> None:
    error = kind("what", hint="how")
    response = ttrpc_pb2.Response.FromString(calls.failed(error))
    assert response.status.code == errors.TTRPC_CODES[kind]
    assert response.status.message == "what (how)"


@pytest.mark.parametrize("kind", [CodecError, FrameError])
def test_an_error_without_a_code_has_its_bases(kind: type[EnclosError]) -> None:
    response = ttrpc_pb2.Response.FromString(calls.failed(kind("what")))
    assert response.status.code == errors.TTRPC_CODES[EnclosError]


def test_a_long_message_is_cut() -> None:
    response = ttrpc_pb2.Response.FromString(calls.failure(2, "x" * 10_000_000))
    assert len(response.status.message) == 4096


def test_success_carries_the_answer() -> None:
    response = ttrpc_pb2.Response.FromString(calls.success(task_pb2.StartResponse(pid=7)))
    assert not response.HasField("status")
    assert task_pb2.StartResponse.FromString(response.payload).pid == 7
