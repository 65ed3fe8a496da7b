#!/usr/bin/env bash
# Measures this tree beside its floors and peers, and prints the table against the targets:
# perf.sh [ARGUMENT…], see `python3 -m tests.perf --help`. Called by `make perf`.
#
#   ENCLOS_DEV_CACHE   where the measured copy and fetched peers are kept (/var/cache/enclos-dev)
#
# The tree is installed below the cache first, as `make install` does it: what people run is what
# is measured, and what is on the PATH stays as it is. Wants root and an otherwise idle machine; the
# packages of perf-packages are installed.
set -euo pipefail

tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ENCLOS_DEV_CACHE:-/var/cache/enclos-dev}
export -n ENCLOS_DEV_CACHE # the product would take it for a setting, and an unknown one
prefix=$cache/perf
reports=$cache/reports

mkdir -p "$prefix" "$reports"
"$tree/packaging/setup.sh" "$tree/packaging/perf-packages"
"$tree/packaging/install.sh" "" "$prefix"
enclos=$prefix/bin/enclos
"$enclos" assets verify </dev/null >&2 || "$enclos" assets build </dev/null >&2

# A state root of its own: what else runs here is none of the benchmark's business.
ENCLOS_STATE_ROOT=$(mktemp -d /run/enclos-perf.XXXXXX)
export ENCLOS_STATE_ROOT
trap 'rm -rf "$ENCLOS_STATE_ROOT"' EXIT

# The rows about Kubernetes need what its tests do, and say so if `make test` has made no such place.
others=$tree
for place in "$cache"/*/complete; do
    for packages in "${place%/complete}"/lib/python*/site-packages; do
        [ ! -d "$packages" ] || others=$tree:$packages
    done
done

json=$reports/perf-$(date -u +%Y%m%dT%H%M%SZ).json
status=0
cd "$tree"
PYTHONPATH=$prefix/lib/enclos:$others PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m tests.perf \
    --enclos "$enclos" --peers "$cache/peers" --json "$json" "$@" || status=$?
printf '== every value: %s\n' "$json" >&2
exit "$status"
