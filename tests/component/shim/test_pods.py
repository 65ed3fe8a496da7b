"""The sandbox service over ttrpc, up to the moment before there is a machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enclos.errors import HostUnfit
from enclos.shim import podtable
from enclos.shim.pods import Pod
from enclos.shim.proto import pod_pb2, sandbox_pb2
from enclos.shim.server import Server
from tests.support.ttrpc import Client, Failed

LIMIT_S = 30


def _unfit() -> Any:
    raise HostUnfit("there are no assets", hint="build them")


class Served:
    """The service of a pod `p` in a thread, on a host without assets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.told = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(LIMIT_S)

    async def _main(self) -> None:
        place: Any = SimpleNamespace(assets=_unfit)
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.pod = Pod("p", self.directory, place)
        self.pod.planned.add_done_callback(lambda _: self.told.set())
        server = Server(podtable.services(self.pod))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.directory / "s"))
        listener.listen(8)
        serving = await server.listen(listener)
        self._ready.set()
        await self._end.wait()
        serving.close()
        server.close()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(LIMIT_S)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.end()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    found = Client.dial(served.directory / "s")
    yield found
    found.close()


def _call(client: Client, method: str, message: str = "", **fields: Any) -> Any:
    name = message or method
    request = getattr(sandbox_pb2, f"{name}Request")(**{"sandbox_id": "p", **fields})
    return client.call(podtable.SERVICE, method, request, getattr(sandbox_pb2, f"{name}Response"))


def test_what_runs_there_is_known_before_it_does(client: Client) -> None:
    told = _call(client, "Platform").platform
    assert told.os == "linux"
    assert told.architecture in {"amd64", "arm64"}
    _call(client, "PingSandbox", "Ping")
    assert _call(client, "SandboxStatus").state == "SANDBOX_NOTREADY"


@pytest.mark.parametrize("method", ["StartSandbox", "WaitSandbox", "SandboxMetrics"])
def test_nothing_can_be_had_of_what_has_not_been_created(client: Client, method: str) -> None:
    with pytest.raises(Failed, match="code 9: sandbox p has not been"):
        _call(client, method)


@pytest.mark.parametrize("method", ["CreateSandbox", "StopSandbox", "ShutdownSandbox"])
def test_another_ones_name(served: Served, client: Client, method: str) -> None:
    with pytest.raises(Failed, match="code 5"):
        _call(client, method, sandbox_id="q")
    assert not served.told.is_set()


def test_a_create_that_is_refused_says_why_and_may_come_again(
    served: Served, client: Client
) -> None:
    users = pod_pb2.UserNamespace(mode=pod_pb2.POD)
    security = pod_pb2.Security(namespace_options=pod_pb2.Namespaces(userns_options=users))
    config = pod_pb2.Config(linux=pod_pb2.Linux(security_context=security))
    request = sandbox_pb2.CreateSandboxRequest()
    request.options.type_url = "runtime.v1.PodSandboxConfig"
    request.options.value = config.SerializeToString()
    with pytest.raises(Failed, match="code 12: a user namespace for a whole pod"):
        _call(client, "CreateSandbox", options=request.options)
    with pytest.raises(Failed, match=r"there are no assets \(build them\)"):
        _call(client, "CreateSandbox")
    assert not served.told.is_set()
    assert (served.directory / "etc/resolv.conf").exists()


def test_a_shutdown_before_anything_ends_the_waiting(served: Served, client: Client) -> None:
    _call(client, "StopSandbox")
    _call(client, "ShutdownSandbox")
    assert served.told.wait(LIMIT_S)
    assert served.pod.planned.result() is None
    with pytest.raises(Failed, match="code 6"):
        _call(client, "CreateSandbox")
