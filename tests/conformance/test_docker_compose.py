"""`docker compose`: services with this runtime, where a package offers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.support import waiting
from tests.support.dockerd import IMAGE, Docker

PROJECT: Final = f"""\
services:
  one:
    image: {IMAGE}
    runtime: enclos
    network_mode: none
    mem_limit: 64m
    command: ["sh", "-c", "echo from one >/v/file; echo up; exec sleep 1000"]
    volumes: [{{type: volume, source: v, target: /v}}]
    healthcheck: {{test: ["CMD", "test", "-e", "/v/file"], interval: 1s}}
  two:
    image: {IMAGE}
    runtime: enclos
    network_mode: none
    depends_on: {{one: {{condition: service_healthy}}}}
    command: ["sh", "-c", "cat /v/file; exit 3"]
    volumes: [{{type: volume, source: v, target: /v, read_only: true}}]
volumes: {{v: {{}}}}
"""


def test_two_services(docker: Docker, tmp_path: Path) -> None:
    if docker("compose", "version").code:
        pytest.skip("docker compose is missing: Debian 13 has it in docker-compose")
    file = tmp_path / "compose.yaml"
    file.write_text(PROJECT)
    compose = ("compose", "--project-name", "services", "--file", str(file))
    docker.ok(*compose, "up", "--detach")
    try:
        assert docker.ok(*compose, "exec", "-T", "one", "cat", "/sys/fs/cgroup/memory.max") == str(
            64 << 20
        )
        waiting.until(lambda: "from one" in docker.ok(*compose, "logs", "--no-color", "two"))
        rows = docker.ok(*compose, "ps", "--all", "--format", "json").splitlines()
        found = {row["Service"]: row for row in map(json.loads, rows)}
        assert (found["one"]["State"], found["two"]["ExitCode"]) == ("running", 3)
    finally:
        docker.ok(*compose, "down", "--volumes", "--timeout", "1")
    assert not docker.ok("ps", "-aq", "--filter", "label=com.docker.compose.project=services")
