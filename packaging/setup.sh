#!/bin/sh
# Installs the Debian packages that Enclos needs on its host (packaging/host-packages), and those
# of further lists: setup.sh [LIST...].
# Run as root; does nothing, and needs no network, when they are all there.
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ "$(uname -m)" = x86_64 ] || fail "Enclos runs on x86_64 hosts; this one is $(uname -m)"
command -v apt-get >/dev/null ||
    fail "no apt-get here; install what packaging/host-packages lists by the means of this system"

missing=
for name in $(sed '/^#/d' "$here/host-packages" "$@"); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $name"
done

if [ -z "$missing" ]; then
    say "host packages: all there"
    exit 0
fi
[ "$(id -u)" = 0 ] || fail "run as root to install:$missing"
say "host packages: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# quiet COMMAND...: its output is shown only if it fails.
quiet() {
    "$@" </dev/null >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "this failed: $*"
    }
}

quiet apt-get -qq update
# shellcheck disable=SC2086 # one word per package
quiet apt-get -qq install -y --no-install-recommends $missing
