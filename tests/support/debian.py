"""A small Debian, packed as an OCI layout; made once and kept outside the tree."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import imagelayouts

SUITE = "trixie"
RECIPE = ("mmdebstrap", "--variant=minbase", "--mode=root", "--format=tar", SUITE)
TAG = "minbase"
_CONFIG = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["bash"],
}


def layout() -> Path:
    """The layout's directory, keyed by how it is made; skips where no archive can be reached."""
    key = hashlib.sha256(json.dumps([RECIPE, _CONFIG]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("ENCLOS_TEST_CACHE", "/var/cache/enclos-dev/tests"))
    place = cache / f"debian-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"debian-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _make(place.with_suffix(".building"))
            place.with_suffix(".building").rename(place)
    return place


def _make(place: Path) -> None:
    subprocess.run(["rm", "-rf", place], check=True, timeout=60)
    archive = place.with_suffix(".tar")
    mirror = os.environ.get("ENCLOS_TEST_MIRROR", "http://deb.debian.org/debian")
    made = subprocess.run([*RECIPE, archive, mirror], capture_output=True, timeout=900, check=False)
    if made.returncode != 0:
        pytest.skip(f"no Debian archive: {made.stderr.decode(errors='replace')[-300:]}")
    imagelayouts.write(place, [archive.read_bytes()], tag=TAG, compression="zstd", config=_CONFIG)
    archive.unlink()
