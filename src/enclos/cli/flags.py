"""Flags that several verbs share, and the long list that describes a container."""

from __future__ import annotations

from typing import Final

from enclos.cli.grammar import Flag

FORMAT: Final = Flag(
    "format", "json, or a template such as '{{.ID}}' (table TEMPLATE: with a header)", meta="FORMAT"
)
QUIET_IDS: Final = Flag("quiet", "print ids only", short="q")
NO_TRUNC: Final = Flag("no-trunc", "do not shorten ids and commands")
FILTER: Final = Flag(
    "filter", "show only what matches, as KEY=VALUE", short="f", meta="FILTER", many=True
)
DETACH_KEYS: Final = Flag(
    "detach-keys", "keys that leave a terminal running (default ctrl-p,ctrl-q)", meta="KEYS"
)
SIG_PROXY: Final = Flag("sig-proxy", "pass signals on to the program (default true)")
STOP_TIMEOUT: Final = Flag(
    "time", "seconds to wait before killing (default 10)", short="t", meta="SECONDS"
)
CPUS: Final = Flag("cpus", "how many CPUs it may use, such as 1.5; 0: no limit", meta="NUMBER")
MEMORY: Final = Flag("memory", "memory limit, such as 512M", short="m", meta="SIZE")
CPU_SHARES: Final = Flag("cpu-shares", "relative weight of CPU time", short="c", meta="NUMBER")
BLKIO: Final = Flag("blkio-weight", "weight of its block I/O, 10 to 1000", meta="NUMBER")
CPU_PERIOD: Final = Flag("cpu-period", "period of the CPU limit in microseconds", meta="NUMBER")
CPU_QUOTA: Final = Flag("cpu-quota", "CPU time in a period in microseconds", meta="NUMBER")
CPUSET_MEMS: Final = Flag("cpuset-mems", "memory nodes of the host it may use", meta="LIST")
CPUSET: Final = Flag("cpuset-cpus", "CPUs of the host it may use, such as 0-1", meta="LIST")
RESERVATION: Final = Flag(
    "memory-reservation", "memory that is left to it when memory is short", meta="SIZE"
)
SWAP: Final = Flag("memory-swap", "memory and swap together; -1: no limit", meta="SIZE")
PIDS: Final = Flag("pids-limit", "how many processes and threads; -1: no limit", meta="NUMBER")
ENV: Final = Flag(
    "env", "set a variable; NAME alone is the caller's", short="e", meta="NAME[=VALUE]", many=True
)
ENV_FILE: Final = Flag("env-file", "read variables from a file", meta="FILE", many=True)
WORKDIR: Final = Flag("workdir", "working directory in the container", short="w", meta="DIR")
USER: Final = Flag("user", "user name or id, with a group", short="u", meta="USER[:GROUP]")
INTERACTIVE: Final = Flag("interactive", "pass standard input on", short="i")
TTY: Final = Flag("tty", "give the program a terminal", short="t")
NO_TEMPLATE: Final = Flag("no-template", "boot the machine cold instead of restoring a template")
SETUP: Final = (
    Flag("dry-run", "show what would change, and change nothing"),
    Flag("undo", "take it back"),
)
PULL: Final = Flag(
    "pull", "when to fetch the image", meta="WHEN", choices=("missing", "always", "never")
)

CONTAINER: Final = (
    Flag("add-host", "know a host by name; host-gateway is this host", meta="NAME:ADDRESS",
         many=True),
    Flag("annotation", "add an OCI annotation", meta="NAME=VALUE", many=True),
    Flag("cap-add", "add a capability, or ALL", meta="NAME", many=True),
    Flag("cap-drop", "drop a capability, or ALL", meta="NAME", many=True),
    Flag("cidfile", "write the container's id to a new file", meta="FILE"),
    BLKIO,
    CPU_PERIOD,
    CPU_QUOTA,
    CPU_SHARES,
    CPUS,
    CPUSET,
    CPUSET_MEMS,
    Flag("dns", "ask this server of names", meta="ADDRESS", many=True),
    Flag("dns-option", "option for the resolver", meta="OPTION", many=True),
    Flag("dns-search", "look names up in this domain; .: in none", meta="DOMAIN", many=True),
    Flag("domainname", "NIS domain of the machine", meta="NAME"),
    Flag("entrypoint", "program in place of the image's entry point", meta="PROGRAM"),
    ENV,
    ENV_FILE,
    Flag("group-add", "add a supplementary group", meta="GROUP", many=True),
    Flag("hostname", "name of the machine", short="h", meta="NAME"),
    INTERACTIVE,
    Flag("ip", "its IPv4 address in a network with a name", meta="ADDRESS"),
    Flag("ip6", "its IPv6 address in a network with a name", meta="ADDRESS"),
    Flag("label", "attach a label", short="l", meta="NAME[=VALUE]", many=True),
    Flag("label-file", "read labels from a file", meta="FILE", many=True),
    Flag("link", "know a container of a common network by one more name",
         meta="CONTAINER[:ALIAS]", many=True),
    MEMORY,
    RESERVATION,
    SWAP,
    Flag("mac-address", "hardware address in a network of its own", meta="ADDRESS"),
    Flag("mount", "mount as type=bind|tmpfs,source=…,target=…[,readonly]", meta="MOUNT", many=True),
    Flag("name", "name the container", meta="NAME"),
    Flag("network", "none, bridge, host, container:NAME or the name of a network that enclos "
         "network create has made, several such, each perhaps as "
         "name=NAME,ip=A,ip6=A,alias=NAME,mac-address=M (default none; bridge with --publish)",
         meta="NETWORK", many=True),
    Flag("network-alias", "one more name of the container in its network", meta="NAME", many=True),
    NO_TEMPLATE,
    Flag("oom-score-adj", "preference for being killed in the machine", meta="NUMBER"),
    PIDS,
    Flag("privileged", "all capabilities, nothing masked, within its machine"),
    Flag("publish", "reach a port by the host's, as [[IP:]HOST_PORT:]PORT[/udp]", short="p",
         meta="PORTS", many=True),
    Flag("publish-all", "publish every port the image exposes, each at any free one", short="P"),
    PULL,
    Flag("quiet", "no progress and no notices on stderr", short="q"),
    Flag("read-only", "mount the root file system read-only"),
    Flag("rm", "remove the container when it has ended"),
    Flag("rootfs", "the first operand is a directory to use as root, not an image"),
    Flag("security-opt", "no-new-privileges, seccomp=FILE|unconfined", meta="OPTION", many=True),
    Flag("shm-size", "size of /dev/shm (default 64M)", meta="SIZE"),
    Flag("stop-signal", "signal with which stop begins (default TERM)", meta="SIGNAL"),
    Flag("stop-timeout", "seconds that stop waits before killing (default 10)", meta="SECONDS"),
    Flag("sysctl", "set a kernel parameter of the container", meta="NAME=VALUE", many=True),
    Flag("tmpfs", "mount a tmpfs", meta="DIR[:OPTIONS]", many=True),
    TTY,
    Flag("ulimit", "set a resource limit", meta="NAME=SOFT[:HARD]", many=True),
    USER,
    Flag("volume", "bind a file or directory", short="v", meta="SOURCE:TARGET[:ro]", many=True),
    WORKDIR,
)  # fmt: skip
"""What `create` and `run` take."""

REFUSED: Final = {
    "b": "that is runc's grammar; use enclos-oci",
    "net": "write --network",
    "expose": "only published ports are reached; use --publish",
    "restart": "nothing restarts containers by itself; let a service manager run enclos",
    "device": "the host's devices are not passed into machines yet",
    "gpus": "the host's devices are not passed into machines yet",
    "pid": "a machine's processes are its own; there is none of the host's to share",
    "ipc": "a machine's IPC is its own; there is none of the host's to share",
    "uts": "a machine's host name is its own; use --hostname",
    "userns": "root in the machine is not root on the host; user namespaces are not needed",
    "volumes-from": "repeat the --volume flags instead",
    "volume-driver": "bind a directory of the host with --volume",
    "log-driver": "output is always kept by enclos itself; see enclos logs",
    "platform": "machines have the host's architecture",
    "init": "run an init that the image has as the program",
    "bundle": "that is runc's grammar; use enclos-oci",
    "pid-file": "that is runc's grammar; use enclos-oci",
    "console-socket": "that is runc's grammar; use enclos-oci",
    "preserve-fds": "that is runc's grammar; use enclos-oci",
    "no-pivot": "that is runc's grammar; use enclos-oci",
}
"""Flags of docker's, podman's or runc's that people will try, and why they are refused."""
