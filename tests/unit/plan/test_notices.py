"""Whose notices are passed on, and where the container finds the socket."""

from __future__ import annotations

import json
import posixpath
from typing import Any

import pytest

from enclos.oci.load import load_spec
from enclos.oci.types import Mount, Process
from enclos.plan import notices
from enclos.plan.guestspec import guest_spec
from enclos.plan.notices import Kind, Notices
from tests.support import specs

BUNDLE = "/b"
PODMANS = {"destination": "/run/notify", "type": "bind", "source": "notify", "options": ["bind"]}


def document(value: str, *mounts: dict[str, Any]) -> dict[str, Any]:
    made = specs.runc()
    made["process"]["env"] = ["A=b", "NOTIFY_SOCKET=/not/this", f"NOTIFY_SOCKET={value}"]
    made["mounts"] = [*made["mounts"], *mounts]
    return made


@pytest.mark.parametrize(
    ("value", "mounts", "host"),
    [
        ("/run/notify/notify.sock", [PODMANS], "/b/notify/notify.sock"),
        ("/run//notify/./notify.sock", [PODMANS], "/b/notify/notify.sock"),
        ("/s", [PODMANS | {"source": "/host/s", "destination": "/s"}], "/host/s"),
        ("/a/b/s", [PODMANS | {"source": "/1", "destination": "a"},
                    PODMANS | {"source": "/2", "destination": "/a/b/"}], "/2/s"),
        ("/run/notify/notify.sock", [], ""),
        ("/run/notifying/s", [PODMANS], ""),
        ("@abstract", [PODMANS], ""),
        ("", [PODMANS], ""),
        ("/run/lock/s", [PODMANS | {"type": "tmpfs", "options": [], "destination": "/run"}], ""),
    ],
)  # fmt: skip
def test_a_socket_that_the_specification_shows(
    value: str, mounts: list[dict[str, Any]], host: str
) -> None:
    found = notices.in_spec(load_spec(json.dumps(document(value, *mounts)).encode()), BUNDLE)
    assert (posixpath.join(found.host, found.inner).rstrip("/") if found else "") == host
    if found:
        assert found.kind is Kind.ALL


def test_the_guests_socket_is_mounted_over_the_hosts_last() -> None:
    told = Notices(Kind.ALL, "/b/notify/notify.sock", "/run/notify/notify.sock")
    spec = load_spec(json.dumps(document(told.place, PODMANS)).encode())
    found = json.loads(guest_spec(spec, container_id="c1", bundle=BUNDLE, notices=told).spec_json)
    assert found["process"]["env"] == list(spec.process.env if spec.process else ())
    last = found["mounts"][-1]
    assert (last["destination"], last["source"]) == (
        told.place,
        "/run/enclos/notices/c1/notify.sock",
    )


def test_a_caller_that_waits_has_the_container_told_of_a_socket() -> None:
    told = notices.of_caller("@systemd")
    process = told.told(Process(env=("A=b", "NOTIFY_SOCKET=/another", "NOTIFY_SOCKETS=c")))
    assert process.env == ("A=b", "NOTIFY_SOCKETS=c", "NOTIFY_SOCKET=/run/notify/notify.sock")
    options = ("bind", "ro", "nosuid", "nodev", "noexec")
    assert told.mount("c1") == Mount("/run/notify", "bind", "/run/enclos/notices/c1", options)
