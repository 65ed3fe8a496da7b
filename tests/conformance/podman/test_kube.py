"""`podman kube play` and `generate kube`, and `podman build`: what else makes containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.podman import IMAGE, Podman, wait_until

POD: Final = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: words
data:
  greeting: "hello from the map"
---
apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  restartPolicy: Never
  volumes:
  - name: shared
    emptyDir: {{}}
  - name: words
    configMap:
      name: words
  containers:
  - name: writer
    image: {IMAGE}
    command: ["sh", "-c", "cat /one /one/greeting >/out/copy; echo written; exec sleep 10000"]
    env:
    - name: GREETING
      valueFrom:
        configMapKeyRef:
          name: words
          key: greeting
    volumeMounts:
    - name: shared
      mountPath: /out
    - name: words
      mountPath: /one
      subPath: greeting
  - name: reader
    image: {IMAGE}
    command: ["sh", "-c", "exec sleep 10000"]
    volumeMounts:
    - name: shared
      mountPath: /all
"""
DOCKERFILE: Final = f"""\
FROM {IMAGE}
COPY given /etc/given
RUN cat /etc/given >/etc/made && uname -r >/etc/kernel
RUN test -s /etc/made && echo also >>/etc/made
USER 1234
CMD ["cat", "/etc/made"]
"""


@pytest.fixture(scope="module")
def played(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A pod from YAML; podman 4 mounts all of a volume where a subPath is asked for."""
    file = tmp_path_factory.mktemp("kube") / "pod.yaml"
    file.write_text(POD)
    podman.ok("kube", "play", "--network=none", file)
    yield file
    podman.ok("kube", "down", file)


def test_a_pod_from_yaml(podman: Podman, played: Path) -> None:
    wait_until(lambda: "written" in podman.ok("logs", "played-writer"))
    read = ("exec", "played-reader", "cat", "/all/copy")
    wait_until(lambda: podman.run(*read).out == "hello from the map")
    assert podman.ok("exec", "played-writer", "sh", "-c", "echo $GREETING") == "hello from the map"
    boot = ("cat", "/proc/sys/kernel/random/boot_id")
    assert podman.ok("exec", "played-writer", *boot) == podman.ok("exec", "played-reader", *boot)


def test_yaml_from_a_pod(podman: Podman, played: Path) -> None:
    text = podman.ok("generate", "kube", "played")
    assert "kind: Pod" in text
    assert "name: played" in text


def test_a_pod_goes_through_yaml_and_comes_back(podman: Podman, tmp_path: Path) -> None:
    """What `generate kube` says of a pod makes the same again, in one machine of its own."""
    flags = ("-d", "--pod=hand", "--env=WORD=kept", "--memory=64m", "--workdir=/var")
    limit = "cat /sys/fs/cgroup/memory.max"
    file = tmp_path / "hand.yaml"
    podman.ok("pod", "create", "--name=hand", "--network=none")
    try:
        for name in ("one", "two"):
            script = f"echo {name} $WORD $(pwd) $({limit}); exec sleep 10000"
            podman.ok("run", *flags, f"--name={name}", IMAGE, "sh", "-c", script)
        file.write_text(podman.ok("generate", "kube", "hand"))
    finally:
        podman.ok("pod", "rm", "--force", "--time=0", "hand")
    podman.ok("kube", "play", "--network=none", file)
    try:
        boots: set[str] = set()
        for name in ("one", "two"):
            wait_until(lambda: podman.ok("logs", f"hand-{name}") != "")  # noqa: B023
            assert podman.ok("logs", f"hand-{name}") == f"{name} kept /var {64 << 20}"
            boot = ("cat", "/proc/sys/kernel/random/boot_id")
            boots.add(podman.ok("exec", f"hand-{name}", *boot))
        assert len(boots) == 1
    finally:
        podman.ok("kube", "down", file)


def test_build(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    runtime = f"--runtime={podman.directory / 'enclos-oci'}"
    flags = ("--isolation=oci", "--network=none", "--pull=never", "--tag=localhost/built")
    podman.ok("build", runtime, *flags, tmp_path)
    try:
        answer = podman.box("localhost/built")
        assert (answer.code, answer.out) == (0, "given\nalso\n"), answer.err
        kernel = podman.box("localhost/built", "cat", "/etc/kernel").out.strip()
        assert kernel != Path("/proc/sys/kernel/osrelease").read_text().strip()
    finally:
        podman.run("rmi", "--force", "localhost/built")
