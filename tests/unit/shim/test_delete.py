"""The answer of `delete` where nothing is left, beside protobuf's."""

from __future__ import annotations

import pytest

from enclos.shim import delete
from enclos.shim.proto import task_pb2


@pytest.mark.parametrize("time_ns", [1, 999_999_999, 1_764_267_000_123_456_789, 2**62])
@pytest.mark.parametrize("status", [1, 127, 128, 137, 255])
def test_the_answer_is_what_protobuf_reads(status: int, time_ns: int) -> None:
    read = task_pb2.DeleteResponse.FromString(delete.answer(status, time_ns))
    assert (read.pid, read.exit_status) == (0, status)
    assert read.exited_at.ToNanoseconds() == time_ns
