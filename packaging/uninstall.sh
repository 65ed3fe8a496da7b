#!/bin/sh
# Removes what install.sh put below a prefix: uninstall.sh DESTDIR PREFIX (`make uninstall`).
# What Enclos made since (assets, images, containers) stays, and is named.
set -eu

tree=$(cd -- "$(dirname -- "$0")/.." && pwd)
destdir=$1
prefix=$2

say() { printf '== %s\n' "$*" >&2; }

say "removing Enclos from $destdir$prefix"
rm -f "$destdir$prefix/bin/enclos" "$destdir$prefix/bin/enclos-oci" \
    "$destdir$prefix/bin/containerd-shim-enclos-v2"
rm -rf "$destdir$prefix/lib/enclos" "$destdir$prefix"/lib/.enclos.??????
for page in "$tree"/docs/man/*.[1-8]; do
    [ ! -e "$page" ] || rm -f "$destdir$prefix/share/man/man${page##*.}/${page##*/}"
done
for kept in /var/lib/enclos /run/enclos; do
    [ ! -e "$destdir$kept" ] || say "kept: $destdir$kept"
done
