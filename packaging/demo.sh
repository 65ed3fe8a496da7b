#!/bin/sh
# Runs one container in its own VM and shows that its kernel is another: demo.sh PREFIX.
set -eu

enclos=$1/bin/enclos

printf '== running: enclos run --rm enclos/demo uname -r\n' >&2
container=$("$enclos" run --rm enclos/demo uname -r)
host=$(uname -r)
printf 'kernel of the host:      %s\n' "$host"
printf 'kernel of the container: %s\n' "$container"
if [ "$host" = "$container" ]; then
    printf 'demo: the container runs on the kernel of the host\n' >&2
    exit 1
fi
