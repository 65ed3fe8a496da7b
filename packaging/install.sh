#!/bin/sh
# Puts Enclos below a prefix: install.sh DESTDIR PREFIX (`make install`).
#
#   PREFIX/lib/enclos          the package and the libraries it needs from PyPI, byte-compiled
#   PREFIX/bin/enclos          launchers, isolated from the caller's Python settings
#   PREFIX/bin/enclos-oci
#   PREFIX/bin/containerd-shim-enclos-v2
#   PREFIX/share/man           manual pages
#
# The new tree is made beside the old one and takes its place at the end.
set -eu

tree=$(cd -- "$(dirname -- "$0")/.." && pwd)
destdir=$1
prefix=$2
python=/usr/bin/python3

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

case $prefix in /*) ;; *) fail "PREFIX must be an absolute path, not $prefix" ;; esac
"$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python must be Python 3.11 or newer; run: make setup"
umask 022

lib=$destdir$prefix/lib/enclos
bin=$destdir$prefix/bin
mkdir -p "$destdir$prefix/lib" "$bin" || fail "cannot write below $destdir$prefix; run as root"
new=$(mktemp -d "$destdir$prefix/lib/.enclos.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' INT TERM

say "installing Enclos in $destdir$prefix"
# Libraries: the ones pyproject.toml names, by the pip of a passing environment.
"$python" -I -m venv "$new/venv"
"$python" -I - "$tree/pyproject.toml" >"$new/requirements" <<'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print("\n".join(tomllib.load(file)["project"]["dependencies"]))
PYTHON
"$new/venv/bin/python" -I -m pip --disable-pip-version-check --no-input -q install \
    --no-compile --only-binary :all: --target "$new/tree" --requirement "$new/requirements" >&2 ||
    fail "pip could not fetch the libraries from PyPI; check the network"
rm -rf "$new/venv" "$new/tree/bin"

# Our own code, without what running it in the clone has left there.
(cd "$tree/src" && find enclos -name __pycache__ -prune -o -type f -print | tar -cf - -T -) |
    tar -xf - -C "$new/tree" --no-same-owner
"$python" -I -m compileall -q -s "$new/tree" -p "$prefix/lib/enclos" "$new/tree"
chmod -R u=rwX,go=rX "$new/tree"

# launcher NAME ROOM: a program that calls enclos.ROOM.main.main.
launcher() {
    printf '%s\n' '#!/usr/bin/python3 -ISXutf8' 'import sys' \
        "sys.path.append(\"$prefix/lib/enclos\")" \
        "from enclos.$2.main import main" 'sys.exit(main())' >"$new/$1"
    chmod 755 "$new/$1"
    mv -f "$new/$1" "$bin/$1"
}

[ ! -e "$lib" ] || mv "$lib" "$new/old"
mv "$new/tree" "$lib"
launcher enclos cli
launcher enclos-oci ocicli
launcher containerd-shim-enclos-v2 shim

for page in "$tree"/docs/man/*.[1-8]; do
    [ -e "$page" ] || continue
    section=$destdir$prefix/share/man/man${page##*.}
    mkdir -p "$section"
    install -m 644 "$page" "$section/"
done

case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) say "note: $prefix/bin is not on the PATH" ;;
esac
say "installed: $bin/enclos, $bin/enclos-oci, $bin/containerd-shim-enclos-v2"
