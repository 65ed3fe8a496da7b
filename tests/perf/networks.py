"""Rows about networks: TCP streams and round trips with a container on a bridge.

The host is a namespace of the benchmark with a bridge. Beside runc, whose containers have the
host's kernel, and beside our QEMU and kernel with nothing of the product around them: under
emulation the guest's CPU is the limit, and only the ratio says what the product adds.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

from tests.perf import callees, commands
from tests.perf.callees import IPERF, STREAM_PORT, TRIP_PORT, Callee, Site
from tests.perf.series import Group, Missing, Row, Unavailable
from tests.perf.subject import Subject
from tests.support import bridges

IN, OUT, TRIPS = "stream in", "stream out", "round trips"
CALLED, BETWEEN = "stream to the host", "stream between two"
BARE, OWN = "bare QEMU", "enclos"
HOSTS, BARE_PASST = "enclos, host's network", "bare QEMU, passt"
BESIDE: Final = ((OWN, BARE), (HOSTS, BARE_PASST))
ROWS: Final = {OWN: (IN, OUT, TRIPS, CALLED, BETWEEN), HOSTS: (IN, OUT, TRIPS, CALLED)}
_OUTER_PORT: Final = 5204
_SECONDS: Final = 3
_TRIPS: Final = 500
_ATTEMPTS: Final = 3
_POLL_S: Final = 0.5


def row(target: str, what: str) -> str:
    """The name of a row."""
    return f"{target}: {what}"


def groups(subject: Subject) -> list[Group]:
    """One group."""
    return [Group("networks", 5, lambda: _rows(subject))]


@contextmanager
def _rows(subject: Subject) -> Iterator[Sequence[Row | Missing]]:
    with ExitStack() as stack:
        bridge = stack.enter_context(bridges.new())
        site = Site(subject, bridge, callees.programs(), stack)
        yield [row for target in _targets(site) for row in _offered(*target)]


_Start = Callable[[str], Callee]


def _targets(site: Site) -> Iterator[tuple[str, _Start, bool]]:
    """Names, how one is started, and whether there is to be a second that calls the first."""
    runc = ("runc", "--root", str(site.subject.scratch / "net-runc"))
    commands_by_name = {OWN: (site.subject.enclos_oci,), "runc": runc}
    for name, command in commands_by_name.items():
        yield name, partial(site.container, command=command), True
    yield BARE, site.machine, True
    if site.subject.runsc:
        flags = ("--ignore-cgroups", "--platform=systrap")
        runsc = (site.subject.runsc, "--root", str(site.subject.scratch / "net-runsc"), *flags)
        command = (*runsc, "--network=sandbox")
        yield "runsc", partial(site.container, command=command), True
        command = (*runsc, "--network=host")
        yield "runsc, host's network", partial(site.container, command=command, shared=True), False
    for name, command in commands_by_name.items():
        start = partial(site.container, command=command, shared=True)
        yield f"{name}, host's network", start, False
    yield BARE_PASST, partial(site.machine, by_passt=True), False


def _offered(name: str, start: _Start, twice: bool) -> Iterator[Row | Missing]:  # noqa: FBT001
    try:
        started = [start(name) for _ in range(1 + twice)]
        for callee in started:
            callee.wait_ready()
    except (Unavailable, AssertionError, OSError) as error:
        yield Missing(name, str(error)[:300])
        return
    first = started[0]
    yield Row(row(name, IN), "Mb/s", partial(_patiently, partial(_stream, first)))
    yield Row(row(name, OUT), "Mb/s", partial(_patiently, partial(_stream, first, "--reverse")))
    yield Row(row(name, TRIPS), "1/s", partial(_patiently, partial(_trips, first)))
    yield Row(row(name, CALLED), "Mb/s", partial(_patiently, partial(_called, first)))
    for other in started[1:]:
        between = partial(_between, other, first)
        yield Row(row(name, BETWEEN), "Mb/s", partial(_patiently, between))


def _patiently(measure: Callable[[], float]) -> float:
    """iperf3's server is away for a moment after some of its clients."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return measure()
        except Unavailable:
            time.sleep(_POLL_S)
    return measure()


def _client(address: str, port: int, *flags: str) -> list[str]:
    return ["--json", "--time", str(_SECONDS), "--connect-timeout", "5000",
            "--port", str(port), "--client", address, *flags]  # fmt: skip


def _rate(text: str) -> float:
    """Megabits a second that arrived, of a report of iperf3's client."""
    try:
        found: dict[str, Any] = json.loads(text)
        return float(found["end"]["sum_received"]["bits_per_second"]) / 1e6
    except (ValueError, KeyError) as error:
        raise Unavailable(f"iperf3 has no result: {text.strip()[-300:]}") from error


def _stream(callee: Callee, *flags: str) -> float:
    argv = ["nsenter", f"--net={callee.caller.path}", "iperf3"]
    return _rate(commands.run([*argv, *_client(callee.address, STREAM_PORT, *flags)]))


def _between(caller: Callee, callee: Callee) -> float:
    return _asked(caller, callee.address, STREAM_PORT)


def _called(caller: Callee) -> float:
    """A server of the host's is called."""
    argv = ["nsenter", f"--net={caller.caller.path}", "iperf3"]
    server = [*argv, "--server", "--one-off", "--forceflush", "--port", str(_OUTER_PORT)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            while "listening" not in process.stdout.readline():
                if process.poll() is not None:
                    raise Unavailable("iperf3 does not serve")
            return _asked(caller, f"{bridges.NETWORK}.1", _OUTER_PORT)
        finally:
            process.kill()


def _asked(caller: Callee, address: str, port: int) -> float:
    try:
        return _rate(caller.shell(" ".join((IPERF, *_client(address, port)))))
    except OSError as error:
        raise Unavailable(f"{caller.name} does not answer: {error}") from error


def _trips(callee: Callee) -> float:
    """Requests of one byte that are answered in a second, one after the other."""
    try:
        with callee.connect(TRIP_PORT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start = time.perf_counter()
            for _ in range(_TRIPS):
                connection.send(b"x")
                if not connection.recv(1):
                    raise Unavailable(f"{callee.name} hung up")
            return _TRIPS / (time.perf_counter() - start)
    except OSError as error:
        raise Unavailable(f"{callee.name} does not answer: {error}") from error
