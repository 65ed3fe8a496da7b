"""Many pods, five at a time, and in each five something dies by SIGKILL: two hundred at night.

ENCLOS_TEST_PODS is how many, ENCLOS_TEST_SEED chooses who dies.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import grpc
import pytest

from tests.support import victims
from tests.support.containerd import wait_for
from tests.support.cri import Cri, Pod, api

PODS: Final = int(os.environ.get("ENCLOS_TEST_PODS", "200"))
SEED: Final = int(os.environ.get("ENCLOS_TEST_SEED", "1"))
TOGETHER: Final = 5
RUNNING: Final = 1
EXITED: Final = 2
NOT_READY: Final = 1
KILLED: Final = 137
LOST: Final = 255
"""What containerd says of a container whose shim is gone."""
GROUP_S: Final = 900


def _kill_shim(pod: Pod) -> None:
    os.kill(pod.cri.daemon.shim(pod.id), signal.SIGKILL)


def _kill_program(program: bytes) -> Callable[[Pod], None]:
    def kill(pod: Pod) -> None:
        for found in victims.below(pod.cri.daemon.shim(pod.id), program):
            os.kill(found, signal.SIGKILL)

    return kill


def _kill_agent(pod: Pod) -> None:
    """The guest's process 1 ends with its kernel."""
    security = api.LinuxContainerSecurityContext(privileged=True)
    pod.run("sh", "-c", "sleep 1; echo c >/proc/sysrq-trigger", security=security)


def _kill_daemon(pod: Pod) -> None:
    pod.cri.daemon.stop(signal.SIGKILL)
    pod.cri.daemon.start()
    wait_for(lambda: _knows_its_pods(pod.cri), pod.cri.daemon.log)


def _knows_its_pods(cri: Cri) -> bool:
    """Kubernetes' side is refused at first by a containerd that finds many pods at its start."""
    try:
        cri("ListPodSandbox")
    except grpc.RpcError:
        return False
    return True


VICTIMS: Final[dict[str, tuple[Callable[[Pod], None], frozenset[int]]]] = {
    "shim": (_kill_shim, frozenset({KILLED, LOST})),
    "qemu": (_kill_program(b"qemu-system"), frozenset({KILLED})),
    "virtiofsd": (_kill_program(b"virtiofsd"), frozenset({KILLED})),
    "agent": (_kill_agent, frozenset({KILLED})),
    "containerd": (_kill_daemon, frozenset()),
}
"""Who dies, and with what status the pod's container ends then; it lives on without one."""


@pytest.mark.nightly
@pytest.mark.timeout(GROUP_S * max(1, PODS // TOGETHER))
def test_pods_come_and_go_while_their_parts_die(cri: Cri) -> None:
    chance = random.Random(SEED)
    kinds = list(VICTIMS)
    for number in range(max(1, PODS // TOGETHER)):
        if number % len(kinds) == 0:
            chance.shuffle(kinds)
        victim = kinds[number % len(kinds)]
        with _group(cri) as pods:
            chosen = chance.randrange(TOGETHER)
            _strike(pods, chosen, victim)
        _check_nothing_is_left(cri)


@contextmanager
def _group(cri: Cri) -> Iterator[list[tuple[Pod, str]]]:
    """Five pods made at once, each with a container that runs; they are removed at once, too."""
    stacks = [ExitStack() for _ in range(TOGETHER)]
    privileged = api.LinuxSandboxSecurityContext(privileged=True)

    def make(stack: ExitStack) -> tuple[Pod, str]:
        pod = stack.enter_context(cri.pod(security_context=privileged))
        return pod, pod.run("sleep", "10000")

    with ThreadPoolExecutor(TOGETHER) as threads:
        try:
            yield list(threads.map(make, stacks))
        finally:
            list(threads.map(ExitStack.close, stacks))


def _strike(pods: list[tuple[Pod, str]], chosen: int, victim: str) -> None:
    kill, statuses = VICTIMS[victim]
    pod, name = pods[chosen]
    kill(pod)
    if statuses:
        wait_for(lambda: pod.status(name).state == EXITED, pod.cri.daemon.log)
        assert pod.status(name).exit_code in statuses, victim
        wait_for(lambda: _state(pod) == NOT_READY, pod.cri.daemon.log)
    for number, (other, container) in enumerate(pods):
        if number != chosen or not statuses:
            wait_for(partial(_lives, other, container), pod.cri.daemon.log)


def _state(pod: Pod) -> int:
    return int(pod.cri("PodSandboxStatus", pod_sandbox_id=pod.id).status.state)


def _lives(pod: Pod, name: str) -> bool:
    """A containerd that is just back may not know it yet."""
    try:
        return pod.status(name).state == RUNNING and pod.exec(name, "echo", "on") == (0, "on\n", "")
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False


def _check_nothing_is_left(cri: Cri) -> None:
    root = cri.daemon.programs.state_root

    def left() -> list[str]:
        found = [*root.glob("shim/*/sandboxes/*"), *root.glob("shim/*/containers/*")]
        return [*map(str, found), *(one.id for one in cri("ListPodSandbox").items)]

    wait_for(lambda: not left(), lambda: f"{left()}\n{cri.daemon.log()}")
