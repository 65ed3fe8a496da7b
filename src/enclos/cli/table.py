"""The table of verbs: one row each, with everything there is to say about its command line.

A verb is a module of `cli/verbs` with one function, `run`, imported only when it is asked for.
"""

from __future__ import annotations

from typing import Final

from enclos.cli import flags as f
from enclos.cli.grammar import Flag, Subject, Verb

GLOBAL: Final = (
    Flag("debug", "log everything and show where errors come from", short="D"),
    Flag("log-level", "how much is logged to stderr", meta="LEVEL",
         choices=("debug", "info", "warning", "error")),
    Flag("help", "show this help", short="h"),
    Flag("version", "show the version", short="v"),
)  # fmt: skip

_RUN_ABOUT: Final = """\
IMAGE is a name in a registry (alpine, docker.io/library/alpine:3.20, name@sha256:…), an image of
this host's store, enclos/demo (made by `assets build`), or oci:DIRECTORY[:TAG],
oci-archive:FILE, docker-archive:FILE, containers-storage:NAME, docker-daemon:NAME:TAG,
dir:DIRECTORY. With --rootfs it is a directory, used in place.

The exit status is the program's; 128+N if signal N ended it; 125 if Enclos failed, 126 if the
program cannot be run, 127 if it does not exist."""

VERBS: Final = (
    Verb("run", "run", "make a container in a machine of its own and run a program in it",
         "IMAGE [COMMAND] [ARG…]", 1, None, stops=True, subject=Subject.IMAGE,
         flags=(*f.CONTAINER, f.DETACH_KEYS, f.SIG_PROXY,
                Flag("detach", "leave it running and print its id", short="d")),
         about=_RUN_ABOUT,
         examples=("enclos run --rm enclos/demo uname -r", "enclos run --rm -it alpine sh",
                   "enclos run -d --name web -v /srv/www:/www:ro -m 512M IMAGE httpd -f",
                   "enclos run -d -p 8080:80 -p 5353:53/udp IMAGE")),
    Verb("create", "create", "make a container without starting it",
         "IMAGE [COMMAND] [ARG…]", 1, None, stops=True, subject=Subject.IMAGE, flags=f.CONTAINER,
         about="Everything of `run` but the run; its id is printed. See: enclos start"),
    Verb("start", "start", "start stopped or created containers", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER,
         flags=(Flag("attach", "show its output and wait for its end", short="a"),
                f.DETACH_KEYS, f.INTERACTIVE, f.NO_TEMPLATE, f.SIG_PROXY)),
    Verb("restart", "restart", "stop containers and start them again", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER,
         flags=(Flag("signal", "signal to stop with", short="s", meta="SIGNAL"), f.STOP_TIMEOUT)),
    Verb("ps", "ps", "list containers",
         flags=(Flag("all", "stopped ones as well", short="a"), f.FILTER, f.FORMAT,
                Flag("last", "the N newest, in any state", short="n", meta="N"),
                Flag("latest", "the newest one, in any state", short="l"),
                f.NO_TRUNC, f.QUIET_IDS),
         about="Filters: id, name, label, status, ancestor, exited. Containers that others made "
               "with enclos-oci in the same state root are listed too, without an image."),
    Verb("port", "port", "list where published ports are reached", "CONTAINER [PORT[/PROTOCOL]]",
         1, 2, subject=Subject.CONTAINER),
    Verb("logs", "logs", "show what a container has written", "CONTAINER", 1, 1,
         subject=Subject.CONTAINER,
         flags=(Flag("follow", "go on until the container has ended", short="f"),
                Flag("since", "only from then on: 2024-05-06T07:08:09, a Unix time, or 10m ago",
                     meta="TIME"),
                Flag("tail", "only the last N lines", short="n", meta="N"),
                Flag("timestamps", "a time before each line", short="t"),
                Flag("until", "only until then", meta="TIME")),
         about="Recorded is the output of every container but those of `run --rm` in the "
               "foreground without a terminal. What went to stderr comes out on stderr."),
    Verb("exec", "exec", "run one more program in a running container",
         "CONTAINER COMMAND [ARG…]", 2, None, stops=True, subject=Subject.CONTAINER,
         flags=(Flag("detach", "leave it running", short="d"), f.DETACH_KEYS, f.ENV, f.ENV_FILE,
                f.INTERACTIVE, Flag("privileged", "give it all capabilities"), f.TTY, f.USER,
                f.WORKDIR)),
    Verb("attach", "attach", "join the streams of a running container", "CONTAINER", 1, 1,
         subject=Subject.CONTAINER,
         flags=(f.DETACH_KEYS, Flag("no-stdin", "do not pass standard input on"), f.SIG_PROXY)),
    Verb("stop", "stop", "end containers: a signal, and after a while a kill", "CONTAINER…", 1,
         None, subject=Subject.CONTAINER,
         flags=(Flag("signal", "signal to begin with", short="s", meta="SIGNAL"), f.STOP_TIMEOUT)),
    Verb("kill", "kill", "send containers a signal", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER,
         flags=(Flag("signal", "name or number (default KILL)", short="s", meta="SIGNAL"),)),
    Verb("wait", "wait", "wait for containers' ends and print their exit statuses", "CONTAINER…",
         1, None, subject=Subject.CONTAINER),
    Verb("rm", "rm", "remove containers", "CONTAINER…", 1, None, subject=Subject.CONTAINER,
         flags=(Flag("force", "running ones too; unknown ones are no error", short="f"),
                Flag("volumes", "its unnamed volumes as well, which always go", short="v"))),
    Verb("pause", "pause", "freeze containers' processes", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER),
    Verb("unpause", "unpause", "thaw paused containers", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER),
    Verb("rename", "rename", "give a container another name", "CONTAINER NAME", 2, 2,
         subject=Subject.CONTAINER),
    Verb("stats", "stats", "show what containers use", "[CONTAINER…]", 0, None,
         subject=Subject.CONTAINER,
         flags=(Flag("all", "stopped ones as well", short="a"), f.FORMAT,
                Flag("no-stream", "once, not every second"), f.NO_TRUNC)),
    Verb("top", "top", "list a container's processes", "CONTAINER", 1, 1,
         subject=Subject.CONTAINER, flags=(f.FORMAT,)),
    Verb("update", "update", "change containers' limits", "CONTAINER…", 1, None,
         subject=Subject.CONTAINER,
         flags=(f.BLKIO, f.CPU_PERIOD, f.CPU_QUOTA, f.CPU_SHARES, f.CPUS, f.CPUSET,
                f.CPUSET_MEMS, f.MEMORY, f.RESERVATION, f.SWAP, f.PIDS),
         about="At once where they run, and for every start to come. What is not named stays as "
               "it is. A machine grows for a new memory limit; it does not shrink."),
    Verb("events", "events", "tell what happens to containers, as it happens",
         flags=(f.FILTER, f.FORMAT,
                Flag("since", "begin with what the records tell of since then", meta="TIME"),
                Flag("until", "end then", meta="TIME")),
         about="Events are what changes in the records: create, start, pause, unpause, die, "
               "destroy. Filters: container, event, label."),
    Verb("inspect", "inspect", "show everything about containers or images, as JSON", "NAME…", 1,
         None, subject=Subject.CONTAINER,
         flags=(Flag("format", "json, or a template such as '{{.State.Status}}'", short="f",
                     meta="FORMAT"),
                Flag("type", "only containers or only images", meta="TYPE",
                     choices=("container", "image")))),
    Verb("images", "images", "list images", "[NAME]", 0, 1, subject=Subject.IMAGE,
         flags=(Flag("digests", "show digests too"), f.FORMAT, f.NO_TRUNC, f.QUIET_IDS)),
    Verb("pull", "pull", "fetch images", "IMAGE…", 1, None, subject=Subject.IMAGE,
         flags=(Flag("quiet", "no progress", short="q"),)),
    Verb("rmi", "rmi", "remove images", "IMAGE…", 1, None, subject=Subject.IMAGE,
         flags=(Flag("force", "even if a container uses it", short="f"),)),
    Verb("cp", "cp", "copy files out of or into a container",
         "CONTAINER:PATH PATH | PATH CONTAINER:PATH", 2, 2, subject=Subject.FILE,
         flags=(Flag("archive", "keep owners", short="a"),
                Flag("follow-link", "follow a symbolic link in the source", short="L"),
                Flag("quiet", "no progress", short="q")),
         about="- instead of a path is a tar archive on standard input or output."),
    Verb("diff", "diff", "list files a container has changed", "CONTAINER", 1, 1,
         subject=Subject.CONTAINER, flags=(f.FORMAT,)),
    Verb("network create", "network_create", "make a network that containers join by its name",
         "NETWORK", 1, 1,
         flags=(Flag("driver", "bridge, which is the only one", short="d", meta="DRIVER"),
                Flag("gateway", "the bridge's own address in a subnet", meta="ADDRESS", many=True),
                Flag("internal", "no way out, and no published ports"),
                Flag("ip-range", "the part of a subnet in which addresses are chosen",
                     meta="RANGE", many=True),
                Flag("ipv6", "addresses of IPv6 as well"),
                Flag("label", "attach a label", meta="NAME[=VALUE]", many=True),
                Flag("subnet", "its addresses, one range of IPv4 and perhaps one of IPv6; chosen "
                     "where none is given", meta="RANGE", many=True)),
         about="By programs of Debian's, which have to be installed: netavark, aardvark-dns, "
               "iptables (Debian 12) or nftables (13). They set the bridge up with the first "
               "container that starts in it and take it away with the last.",
         examples=("enclos network create backend",
                   "enclos network create --subnet 10.9.8.0/24 --ipv6 backend",
                   "enclos run -d --network backend --name db IMAGE")),
    Verb("network connect", "network_connect", "put a container into one more network",
         "NETWORK CONTAINER", 2, 2, subject=Subject.NETWORK,
         flags=(Flag("alias", "one more name of the container there", meta="NAME", many=True),
                Flag("ip", "its IPv4 address there", meta="ADDRESS"),
                Flag("ip6", "its IPv6 address there", meta="ADDRESS")),
         about="At once if it runs, and for every start to come.",
         examples=("enclos network connect --alias store backend db",)),
    Verb("network disconnect", "network_disconnect", "take a container out of a network",
         "NETWORK CONTAINER", 2, 2, subject=Subject.NETWORK),
    Verb("network ls", "network_ls", "list networks with names",
         flags=(f.FORMAT, f.NO_TRUNC, f.QUIET_IDS)),
    Verb("network inspect", "network_inspect",
         "show everything about networks, and who is in them, as JSON", "NETWORK…", 1, None,
         subject=Subject.NETWORK,
         flags=(Flag("format", "json, or a template such as '{{.Name}}'", short="f",
                     meta="FORMAT"),)),
    Verb("network rm", "network_rm", "remove networks that no running container is in",
         "NETWORK…", 1, None, subject=Subject.NETWORK,
         flags=(Flag("force", "unknown ones are no error", short="f"),)),
    Verb("doctor", "doctor", "check whether this host can run containers, and say what is missing",
         flags=(f.FORMAT, Flag("again", "probe KVM again, whatever was found before")),
         about="Ends with status 1 if something essential is missing."),
    Verb("assets build", "assets_build", "build tool root, guest kernel and initrd",
         flags=(Flag("mirror", "Debian archive to take packages from", meta="URL"),
                Flag("quiet", "no progress", short="q"))),
    Verb("assets verify", "assets_verify", "check every file of the assets against its checksum",
         flags=(Flag("quiet", "say nothing when all is well", short="q"),)),
    Verb("assets path", "assets_path", "print where the assets in force are", flags=(f.FORMAT,)),
    Verb("template list", "template_list", "list templates machines are restored from",
         flags=(f.FORMAT, f.QUIET_IDS)),
    Verb("template rm", "template_rm", "remove templates; the next start makes a new one",
         "[TEMPLATE…]", 0, None, flags=(Flag("all", "all of them", short="a"),)),
    Verb("setup containerd", "setup_containerd", "give containerd's CRI plugin a handler enclos",
         flags=(Flag("config-file", "its configuration (default /etc/containerd/config.toml)",
                     meta="FILE"), *f.SETUP),
         about="ctr, nerdctl and docker need nothing but the shim on containerd's PATH.",
         examples=("enclos setup containerd --dry-run",
                   "ctr run --runtime io.containerd.enclos.v2 IMAGE NAME")),
    Verb("setup docker", "setup_docker", "let Docker know this runtime, as enclos and enclos-oci",
         flags=(Flag("config-file", "dockerd's configuration (default /etc/docker/daemon.json)",
                     meta="FILE"), *f.SETUP),
         about="The rest of the file stays as it is, and --undo brings it back to the byte.",
         examples=("enclos setup docker --dry-run", "docker run --runtime enclos IMAGE")),
    Verb("setup k3s", "setup_k3s", "give the containerd within k3s a handler enclos",
         flags=(Flag("directory", "where k3s keeps its containerd's configuration",
                     meta="DIR"), *f.SETUP),
         about="The handler goes to the end of the template from which k3s makes that file.",
         examples=("enclos setup k3s --dry-run", "kubectl apply -f runtimeclass.yaml")),
    Verb("setup podman", "setup_podman", "let podman know this runtime, as enclos and enclos-oci",
         flags=(Flag("config-file", "drop-in (default: in /etc/containers/containers.conf.d)",
                     meta="FILE"), *f.SETUP),
         about="A drop-in of its own: podman's other files stay as they are.",
         examples=("enclos setup podman --dry-run", "podman --runtime enclos run IMAGE")),
    Verb("sweep", "sweep", "release what crashed sandboxes have left behind",
         flags=(Flag("quiet", "print nothing", short="q"),)),
    Verb("version", "version", "show versions", flags=(f.FORMAT,)),
    Verb("completion", "completion", "print a completion script for a shell", "SHELL", 1, 1,
         choices=("bash", "zsh", "fish"),
         examples=("enclos completion bash > /etc/bash_completion.d/enclos",)),
)  # fmt: skip
"""Every verb, in the order of help."""

RUNC: Final = frozenset({"state", "delete", "list", "spec", "features", "resume", "checkpoint",
                         "restore"})  # fmt: skip
"""Verbs of runc's grammar: that is the other program's, `enclos-oci`."""


def find(words: list[str]) -> tuple[Verb | None, int]:
    """The verb that `words` begin with, and how many of them name it."""
    for count in (2, 1):
        name = " ".join(words[:count])
        for verb in VERBS:
            if verb.name == name and len(words) >= count:
                return verb, count
    return None, 0


def group(name: str) -> tuple[Verb, ...]:
    """The verbs of two words that begin with `name`."""
    return tuple(verb for verb in VERBS if verb.name.startswith(f"{name} "))
