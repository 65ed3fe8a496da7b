#!/usr/bin/env bash
# Runs the tests, tier by tier, with what they need: Debian packages, the checkers' environment
# and the assets. Called by `make test`; a tier's name as argument runs that tier only.
#
#   ENCLOS_DEV_CACHE   where the environments are kept, outside the tree (/var/cache/enclos-dev)
#   ENCLOS_TEST_ARGS   further arguments for pytest, such as "-k name -x"
#   ENCLOS_TEST_MARKS  a pytest mark expression (default: what is not for the night)
#   ENCLOS_TEST_DATA_ROOT   where assets and templates are (/var/lib/enclos)
set -euo pipefail

tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ENCLOS_DEV_CACHE:-/var/cache/enclos-dev}
marks=${ENCLOS_TEST_MARKS:-not nightly}
python=${PYTHON:-/usr/bin/python3}
export -n ENCLOS_DEV_CACHE # the product would take it for a setting, and an unknown one
all_tiers=(repo unit component vm conformance)
if [ $# -gt 0 ]; then tiers=("$@"); else tiers=("${all_tiers[@]}"); fi

say() { printf '== %s\n' "$*" >&2; }

# The requirements of pyproject.toml, one a line.
requirements() {
    "$python" -I - "$tree/pyproject.toml" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
print("\n".join(project["dependencies"] + project["optional-dependencies"]["dev"]))
PYTHON
}

# An environment by what is in it; made beside its place and moved there when complete.
# Prints its directory.
environment() {
    local key place lock
    key=$( { "$python" -I -V; requirements; } | sha256sum | cut -c1-16 )
    place=$cache/$key
    mkdir -p "$cache"
    exec {lock}>"$cache/lock"
    flock "$lock"
    if [ ! -e "$place/complete" ]; then
        say "making the checkers' environment in $place"
        rm -rf "$place"
        "$python" -m venv "$place" >&2
        requirements >"$place/requirements.txt"
        "$place/bin/pip" -q --disable-pip-version-check install -r "$place/requirements.txt" >&2
        "$place/bin/pyright" --version >/dev/null 2>&1 || true # fetches its own program once
        touch "$place/complete"
    fi
    exec {lock}>&-
    printf '%s\n' "$place"
}

enclos() { PYTHONPATH=$tree/src "$venv/bin/python" -m enclos.cli "$@" </dev/null; }

build_assets() {
    [ -z "${ENCLOS_TEST_DATA_ROOT:-}" ] || export ENCLOS_DATA_ROOT=$ENCLOS_TEST_DATA_ROOT
    say "assets"
    enclos assets verify >/dev/null 2>&1 || enclos assets build >&2
    unset ENCLOS_DATA_ROOT
}

# How many tests run at a time: those with guests wait for them, and two leave two CPUs idle for a
# quarter of the time. A file's tests stay together, as they share warm sandboxes.
workers() { case $1 in vm) echo 3 ;; *) echo 2 ;; esac; }

run_tier() {
    local tier=$1 status=0
    say "tier $tier"
    # shellcheck disable=SC2086
    (cd "$tree" && "$venv/bin/python" -m pytest "tests/$tier" -q -n "$(workers "$tier")" --dist loadfile -m "$marks" \
        --junitxml="$reports/$tier.xml" ${ENCLOS_TEST_ARGS:-}) </dev/null || status=$?
    return "$status"
}

lists=("$tree/packaging/test-packages")
release=$tree/packaging/test-packages-$(. /etc/os-release && printf %s "${VERSION_ID:-}")
[ ! -e "$release" ] || lists+=("$release")
"$tree/packaging/setup.sh" "${lists[@]}"
venv=$(environment)
reports=$(mktemp -d "${TMPDIR:-/tmp}/enclos-tests.XXXXXX")
trap 'rm -rf "$reports"' EXIT
export PATH=$venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1

for tier in "${tiers[@]}"; do
    case $tier in vm | conformance) build_assets; break ;; esac
done
broken=0
for tier in "${tiers[@]}"; do
    run_tier "$tier" || broken=1
done
"$venv/bin/python" "$tree/packaging/tally.py" "$reports" "${tiers[@]}" || broken=1
exit "$broken"
