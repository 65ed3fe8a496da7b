#!/bin/sh
# Writes the archive that node.sh unpacks on nodes: payload.sh ROOT ARCHIVE, from what
# `make assets` has put below ROOT with the prefix /usr/local.
# Times are kept to the nanosecond, by which the assets are known to be whole; layers of images
# would not keep them.
set -eu

root=$1
archive=$2
cd -- "$root"
find usr/local/bin/enclos usr/local/bin/enclos-oci usr/local/bin/containerd-shim-enclos-v2 \
    usr/local/lib/enclos usr/local/share/man/man[1-8]/*enclos* var/lib/enclos/assets \
    ! -name __pycache__ ! -path '*/__pycache__/*' ! -name '.tmp-*' -print0 |
    LC_ALL=C sort -z |
    tar --format=posix --numeric-owner --no-recursion --null -T - -cf "$archive"
