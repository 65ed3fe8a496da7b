#!/bin/sh
# Puts Enclos on a node of Kubernetes and takes it away again: node.sh install | remove | serve.
# It runs in the image of the Containerfile beside it, with the node's root directory at $NODE.
#
#   install   programs in /usr/local, assets in /var/lib/enclos, the handler in the engine's
#             configuration; the engine is restarted if that has changed. May be run again.
#   remove    the handler at once and, when no machine runs any more, all that `install` put there
#   serve     install, wait for SIGTERM, remove: what the DaemonSet does
#
# What was not there before is written down on the node ($record) before it is made; what is
# written there is what is removed. Variables:
#
#   NODE                  where the node's root directory is mounted (/node)
#   ENGINE                containerd, or k3s for the containerd within it (containerd)
#   ALLOWED_ANNOTATIONS   names of the io.enclos.NAME that pods may use, with spaces (none)
#   PAYLOAD               the archive of payload.sh (/payload.tar)
#   READY                 a file that is there while `serve` has everything installed
#   WAIT_S                how long to wait for machines to end (60)
set -eu

node=${NODE:-/node}
engine=${ENGINE:-containerd}
allowed=${ALLOWED_ANNOTATIONS:-}
payload=${PAYLOAD:-/payload.tar}
ready=${READY:-/run/enclos-is-installed}
wait_s=${WAIT_S:-60}

home=var/lib/enclos
record=$node/$home/node-installer
settings=etc/enclos/config.d/90-kubernetes.toml
program_tree=usr/local/lib/enclos
stamp=$node/$program_tree/.payload
trees="$program_tree $home/assets"
of_runs="$home/templates $home/facts.json" # nobody needs these without the assets

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'node.sh: %s\n' "$*" >&2; exit 1; }

case $engine in
containerd) units=containerd configuration=etc/containerd ;;
k3s) units='k3s k3s-agent' configuration=var/lib/rancher/k3s/agent/etc/containerd ;;
*) fail "ENGINE is $engine; it can be containerd or k3s" ;;
esac
case $allowed in
*[!a-z_*\ ]*) fail "ALLOWED_ANNOTATIONS is $allowed; names with spaces between them, or *" ;;
esac

# Programs of the node, with the node's own root, systemd and settings. In a mere chroot the kernel
# refuses user namespaces: whether KVM works could not be found out, and that would be remembered.
on_node() {
    unshare --mount --propagation private sh -eu -c '
        mount --rbind "$1" "$1"
        cd "$1"
        mount -t tmpfs old tmp
        mkdir tmp/old
        pivot_root . tmp/old
        cd /
        umount -n -l /tmp/old
        umount -n /tmp
        shift
        exec /usr/bin/env -i SYSTEMD_IGNORE_CHROOT=1 LC_ALL=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' - "$node" "$@" </dev/null
}

check() {
    [ -d "$node/var/lib" ] || fail "there is no node in $node; mount its root directory there"
    [ -r "$payload" ] || fail "there is no archive $payload; build the image by its Containerfile"
    [ "$(uname -m)" = x86_64 ] || fail "Enclos runs on x86_64 nodes; this one is $(uname -m)"
    on_node python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "the node has no Python 3.11 or newer as /usr/bin/python3; install it there"
    [ -e "$record" ] || { [ ! -e "$node/usr/local/bin/enclos" ] && [ ! -e "$node/$program_tree" ]; } ||
        fail "Enclos is on this node by other means; take it away first: make uninstall"
}

# note PATH: write down that PATH, below the node's root, will be ours, after the directories
# above it that will be; not what is there already.
note() {
    [ ! -e "$node/$1" ] || return 0
    above=${1%/*}
    [ "$above" = "$1" ] || note "$above"
    grep -qxF "$1" "$record" || printf '%s\n' "$1" >>"$record"
}

begin_record() {
    [ ! -e "$record" ] || return 0
    first=
    [ -e "$node/$home" ] || first=$home
    mkdir -p "$node/$home"
    printf '%s\n' $first >"$record"
}

# Everything is unpacked beside its place, and then takes it.
unpack() {
    new=$node/$home/.node-installer.new
    rm -rf "$new"
    mkdir "$new"
    tar -C "$new" -xpf "$payload"
    compiled=/$home/.node-installer.new/$program_tree # the image's Python may be another
    on_node python3 -I -m compileall -q -s "$compiled" -p "/$program_tree" "$compiled"
    mkdir "$new/old"
    for name in $trees $(cd "$new" && find usr ! -type d ! -path "$program_tree/*"); do
        note "$name"
        mkdir -p "$node/${name%/*}"
        [ ! -d "$node/$name" ] || mv "$node/$name" "$new/old/${name##*/}.${name%%/*}"
        mv -f "$new/$name" "$node/$name"
    done
    rm -rf "$new"
}

machines() { find "$node/run/enclos" -path '*/sandboxes/*' -prune -print 2>/dev/null | wc -l; }

wait_for_machines() {
    waited=0
    while [ "$(machines)" != 0 ]; do
        [ "$waited" -lt "$wait_s" ] ||
            fail "$(machines) machines run on this node with the programs that are there; end their pods"
        sleep 1
        waited=$((waited + 1))
    done
}

# set_up [--undo]: have the engine know the handler, or forget it.
set_up() {
    said=$(on_node enclos setup "$engine" "$@")
    say "$said"
    case $said in *": written; "*) restart ;; esac
}

restart() {
    for unit in $units; do
        if on_node systemctl is-active -q "$unit"; then
            say "restarting $unit; running pods go on"
            on_node systemctl restart "$unit"
            return
        fi
    done
    say "none of these runs on the node: $units; what is written counts from its next start on"
}

allow() {
    rm -f "$node/$settings"
    [ -n "$allowed" ] || return 0
    note "$settings"
    mkdir -p "$node/${settings%/*}"
    printf 'allowed_annotations = "%s"\n' "$allowed" >"$node/$settings"
}

install() {
    check
    begin_record
    sum=$(sha256sum <"$payload")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
        say "programs and assets are there"
    else
        wait_for_machines
        say "unpacking programs and assets"
        unpack
        printf '%s\n' "$sum" >"$stamp"
    fi
    allow
    on_node enclos doctor >&2 || fail "the node lacks what is said above to be missing"
    note "$configuration"
    set_up
    say "installed"
}

remove() {
    if [ ! -e "$record" ]; then
        say "nothing is on the node"
        return
    fi
    set_up --undo
    wait_for_machines
    for name in $of_runs $trees; do rm -rf "${node:?}/$name"; done
    tac "$record" | while read -r name; do
        if [ ! -d "$node/$name" ]; then
            rm -f "$node/$name"
        elif [ "$name" != "$home" ]; then
            rmdir "$node/$name" 2>/dev/null || say "kept, as it is not empty: /$name"
        fi
    done
    last=$(grep -x "$home" "$record") || last=
    rm -f "$record"
    [ -z "$last" ] || rmdir "$node/$last" 2>/dev/null || say "kept, as it is not empty: /$last"
    say "removed"
}

serve() {
    sleeper=
    trap '[ -z "$sleeper" ] || kill "$sleeper"; rm -f "$ready"; remove; exit 0' TERM INT
    install
    : >"$ready"
    while :; do
        sleep 3600 &
        sleeper=$!
        wait "$sleeper"
    done
}

case ${1:-} in
install | remove | serve) "$1" ;;
*) fail "say what to do: install, remove or serve" ;;
esac
