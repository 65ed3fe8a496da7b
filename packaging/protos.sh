#!/bin/sh
# Generates the shim's message classes from src/enclos/shim/proto/*.proto: protos.sh [DIRECTORY]
#
# They are committed, so that installing needs no compiler; tests/repo/test_protos.py generates
# them again into DIRECTORY and compares.
set -eu

tree=$(cd -- "$(dirname -- "$0")/.." && pwd)
into=${1:-$tree/src}
cd "$tree/src"
exec "${PYTHON:-python3}" -m grpc_tools.protoc -I . \
    --python_out="$into" --pyi_out="$into" enclos/shim/proto/*.proto
