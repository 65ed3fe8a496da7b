"""Pods of other kinds: with the host's network, with annotations, with volumes that are swapped."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api
from tests.support.projected import swap

NODE: Final = 2
PORT: Final = "5678"
GIB: Final = 1 << 30
WATCH: Final = """\
import ctypes, os
watch = ctypes.CDLL(None).inotify_init()
ctypes.CDLL(None).inotify_add_watch(watch, b"/conf", 0x80)
print("up", flush=True)
while True:
    names = os.read(watch, 4096)
    print("swapped" if b"..data\\0" in names else names, flush=True)
"""
"""Prints a line for each rename in a directory."""
SOON_S: Final = 4
"""On a busy machine: it is a fraction of a second, most of it between two looks at the log."""


@pytest.fixture(scope="module")
def pod(cri: Cri) -> Iterator[Pod]:
    """A pod with the host's network and an annotation that is allowed."""
    options = api.NamespaceOption(network=NODE)
    context = api.LinuxSandboxSecurityContext(namespace_options=options)
    asked = {"io.enclos.memory": "3GiB"}
    with cri.pod(hostname="", annotations=asked, security_context=context) as made:
        yield made


def _inside() -> Any:
    """What the kubelet says of each container of such a pod."""
    return api.LinuxContainerSecurityContext(namespace_options=api.NamespaceOption(network=NODE))


def test_a_pod_on_the_hosts_network(cri: Cri, pod: Pod) -> None:
    """The host, which is containerd's namespace here, reaches its listeners, and they reach it."""
    pod.run("nc", "-ll", "-p", PORT, "-e", "echo", "hello", security=_inside())
    entrance = ("nsenter", f"--net=/run/netns/{cri.daemon.place.name}", "/bin/busybox")

    def answer() -> bytes:
        call = [*entrance, "nc", "127.0.0.1", PORT]
        done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return done.stdout

    wait_for(lambda: answer() == b"hello\n", cri.daemon.log)
    caller = pod.run("sleep", "10000", security=_inside())
    assert pod.exec(caller, "nc", "127.0.0.1", PORT)[1] == "hello\n"
    with subprocess.Popen([*entrance, "nc", "-ll", "-p", "5679", "-e", "echo", "host"]) as server:
        try:
            wait_for(lambda: pod.exec(caller, "nc", "127.0.0.1", "5679")[1] == "host\n", str)
        finally:
            server.kill()


def test_an_annotation_that_is_allowed(pod: Pod) -> None:
    name = pod.run("sleep", "10000", security=_inside())
    (line,) = re.findall(r"MemTotal: *(\d+) kB", pod.exec(name, "cat", "/proc/meminfo")[1])
    assert 2.5 * GIB < int(line) * 1024 < 3 * GIB


def test_an_annotation_that_is_not_allowed(cri: Cri) -> None:
    refused = r"annotation io\.enclos\.vcpus is not allowed on this host"
    with pytest.raises(grpc.RpcError, match=refused), cri.pod(annotations={"io.enclos.vcpus": "2"}):
        pytest.fail("it runs")


def _wait_swapped(pod: Pod, name: str, times: int) -> None:
    wait_for(lambda: pod.log(name).count("swapped") >= times, pod.cri.daemon.log)


def test_a_configmap_is_swapped(pod: Pod, tmp_path: Path) -> None:
    """The kubelet's rename is an event of inotify inside, and the new contents are there then."""
    volume = tmp_path / "configmap"
    swap(volume, {"key": "1", "gone": ""})
    mounts = [
        api.Mount(container_path=path, host_path=host, readonly=True)
        for path, host in (
            ("/conf", str(volume)),
            ("/usr", "/usr"),
            ("/lib", "/usr/lib"),
            ("/lib64", "/usr/lib64"),
        )
    ]
    command = ("/usr/bin/python3", "-I", "-c", WATCH)
    name = pod.run(*command, mounts=mounts, security=_inside())
    wait_for(lambda: pod.log(name) == ["up"], pod.cri.daemon.log)
    assert pod.exec(name, "cat", "/conf/key")[1] == "1"
    for number in ("2", "3"):
        seen = pod.log(name).count("swapped")
        began = time.monotonic()
        swap(volume, {"key": number, "new/deep": "x"})
        _wait_swapped(pod, name, seen + 1)
        took = time.monotonic() - began
        content = pod.exec(name, "sh", "-c", "cat /conf/key /conf/new/deep; ls /conf")[1]
        assert content == f"{number}xkey\nnew\n"
        assert took < SOON_S, f"it took {took:.2f} s"
    code, _, err = pod.exec(name, "touch", "/conf/x")
    assert (code, "Read-only file system" in err) == (1, True)
