"""A registry that serves one OCI layout over HTTP on the loopback interface, for skopeo."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    """What it serves, how it misbehaves, and what was asked of it."""

    layout: Path
    port: int = 0
    password: str = ""
    cut_blobs: bool = False
    requests: list[str] = field(default_factory=list)

    def name(self, tag: str) -> str:
        """The reference of a tag of the layout."""
        return f"127.0.0.1:{self.port}/some/image:{tag}"

    def blobs_asked(self) -> list[str]:
        """Digests of blobs that were fetched."""
        return [path.rpartition("/")[2] for path in self.requests if "/blobs/" in path]


@contextmanager
def serving(layout: Path, home: Path) -> Iterator[tuple[Registry, dict[str, str]]]:
    """The registry at work, and the environment in which skopeo talks to it without TLS."""
    registry = Registry(layout)

    class Handler(_Handler):
        served = registry

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = home / ".config/containers/registries.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f'[[registry]]\nlocation = "127.0.0.1:{registry.port}"\ninsecure = true\n')
    environment = {"HOME": str(home), "NO_PROXY": "127.0.0.1"}
    try:
        yield registry, environment | {"REGISTRY_AUTH_FILE": str(home / "auth.json")}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    served: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.served.requests.append(self.path)
        expected = base64.b64encode(f"user:{self.served.password}".encode()).decode()
        if self.served.password and self.headers.get("Authorization") != f"Basic {expected}":
            headers = {"WWW-Authenticate": 'Basic realm="test"'}
            self._answer(401, json.dumps(_error("UNAUTHORIZED")).encode(), headers)
        elif self.path == "/v2/":
            self._answer(200, b"{}")
        else:
            self._serve(*self.path.split("/")[-2:])

    def _serve(self, kind: str, reference: str) -> None:
        index = json.loads((self.served.layout / "index.json").read_text())
        tags = {
            e["annotations"]["org.opencontainers.image.ref.name"]: e for e in index["manifests"]
        }
        digest = tags[reference]["digest"] if reference in tags else reference
        path = self.served.layout / "blobs" / digest.replace(":", "/")
        if not digest.startswith("sha256:") or not path.exists():
            return self._answer(404, json.dumps(_error("MANIFEST_UNKNOWN")).encode())
        data = path.read_bytes()
        if kind == "blobs":
            return self._answer(200, data, cut=self.served.cut_blobs and len(data) > 100_000)
        media = str(json.loads(data).get("mediaType", _INDEX))
        return self._answer(200, data, {"Content-Type": media})

    def _answer(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut


def _error(code: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}
