"""A client of the container runtime interface, as the kubelet is one, without the kubelet.

The messages come from `cri.proto`, compiled when it is imported.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc

from tests.support import channels
from tests.support.channels import Channels
from tests.support.containerd import IMAGE, Containerd

api: Final[Any] = grpc.protos("tests/support/cri.proto")
_SERVICE: Final = "/runtime.v1.RuntimeService"
_TIMEOUT_S: Final = 240


@dataclass
class Cri:
    """containerd's end of the interface. `logs` is where the pods' logs go."""

    daemon: Containerd
    channel: Any
    logs: Path
    numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, method: str, **fields: Any) -> Any:
        """Call a method with a request of these fields; its response."""
        request = getattr(api, f"{method}Request")(**fields)
        call = self.channel.unary_unary(
            f"{_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(api, f"{method}Response").FromString,
        )
        return call(request, timeout=_TIMEOUT_S)

    @contextmanager
    def streams(self, method: str, query: str = "", **fields: Any) -> Iterator[Channels]:
        """The streams of Exec, Attach or PortForward: the call answers with where they are."""
        url = self(method, **fields).url
        with self.daemon.inside():
            fresh = socket.socket()
        with channels.opened(f"{url}?{query}", enter=fresh) as found:
            yield found

    @contextmanager
    def pod(
        self,
        *,
        hostname: str = "pod",
        annotations: Mapping[str, str] | None = None,
        handler: str = "enclos",
        more: Mapping[str, Any] | None = None,
        **linux: Any,
    ) -> Iterator[Pod]:
        """A pod that runs for the time of the block; `more` is what else its description says."""
        number = next(self.numbers)
        name = f"pod{number}"
        dns = api.DNSConfig(servers=["192.0.2.1"], searches=["example.org"])
        config = api.PodSandboxConfig(
            metadata=api.PodSandboxMetadata(name=name, uid=f"{name}-uid", namespace="test"),
            hostname=hostname,
            annotations=annotations or {},
            log_directory=str(self.logs / name),
            **{"dns_config": dns, **(more or {})},
            linux=api.LinuxPodSandboxConfig(cgroup_parent=f"/{self.daemon.place.name}", **linux),
        )
        (self.logs / name).mkdir()
        answer = self("RunPodSandbox", config=config, runtime_handler=handler)
        made = Pod(self, answer.pod_sandbox_id, config)
        try:
            yield made
        finally:
            self("StopPodSandbox", pod_sandbox_id=made.id)
            self("RemovePodSandbox", pod_sandbox_id=made.id)


@dataclass(frozen=True)
class Pod:
    """A running pod."""

    cri: Cri
    id: str
    config: Any

    def create(
        self,
        *command: str,
        mounts: Sequence[Any] = (),
        resources: Any = None,
        security: Any = None,
        **more: Any,
    ) -> str:
        """A container that is not started yet; its id."""
        name = f"c{next(self.cri.numbers)}"
        linux = api.LinuxContainerConfig(
            resources=resources or api.LinuxContainerResources(),
            security_context=security or api.LinuxContainerSecurityContext(),
        )
        config = api.ContainerConfig(
            metadata=api.ContainerMetadata(name=name),
            image=api.ImageSpec(image=IMAGE),
            command=command,
            mounts=mounts,
            log_path=f"{name}.log",
            linux=linux,
            **more,
        )
        made = self.cri(
            "CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config
        )
        return str(made.container_id)

    def run(self, *command: str, **more: Any) -> str:
        """A container that runs."""
        name = self.create(*command, **more)
        self.cri("StartContainer", container_id=name)
        return name

    def exec(self, container: str, *words: str, timeout_s: int = 0) -> tuple[int, str, str]:
        """Run a program in a container to its end: status, output, errors."""
        told = self.cri("ExecSync", container_id=container, cmd=words, timeout=timeout_s)
        return told.exit_code, told.stdout.decode(), told.stderr.decode()

    def status(self, container: str) -> Any:
        """How a container is."""
        return self.cri("ContainerStatus", container_id=container).status

    def log(self, container: str) -> list[str]:
        """What it wrote, one line of text each."""
        path = Path(self.status(container).log_path)
        return [line.split(" ", 3)[3] for line in path.read_text().splitlines()]


@contextmanager
def served(daemon: Containerd, logs: Path) -> Iterator[Cri]:
    """The interface of a daemon that has the plugin."""
    with grpc.insecure_channel(f"unix://{daemon.place}/c.sock") as channel:
        yield Cri(daemon, channel, logs)
