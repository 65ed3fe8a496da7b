"""`-info`: what this runtime is and can do, for containerd 2."""

from __future__ import annotations

import sys
from typing import Final

from google.protobuf.any_pb2 import Any

from enclos.oci import features
from enclos.shim.parse import Invocation
from enclos.shim.proto import types_pb2
from enclos.version import VERSION

NAME: Final = "io.containerd.enclos.v2"
_FEATURES: Final = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"


def run(call: Invocation) -> int:
    """Print a serialized RuntimeInfo."""
    del call
    told = types_pb2.RuntimeInfo(
        name=NAME,
        version=types_pb2.RuntimeVersion(version=VERSION),
        features=Any(type_url=_FEATURES, value=features.render().encode()),
    )
    sys.stdout.buffer.write(told.SerializeToString())
    return 0
