"""The command tables: what runc's and crun's users and engines do with the verbs."""

from __future__ import annotations

from typing import Final

from tests.conformance.rows import adding, at, together, without
from tests.conformance.steps import Out, Step, Story, fails

SLEEP: Final = "exec sleep 1000"
CREATE: Final = Step("create --bundle {bundle} --pid-file {scratch}/pid {id}")
DELETE: Final = Step("delete {id}")
FORCE: Final = Step("delete --force {id}")
GONE: Final = "no such container"

LIFE: Final = (
    Story(
        "from create to delete",
        SLEEP,
        (
            fails("state {id}", GONE),
            CREATE,
            Step("state {id}", Out.JSON),
            Step("list --format json", Out.JSON),
            fails("create -b {bundle} {id}", "id taken"),
            Step("exec {id} echo in a created one"),
            Step("start {id}"),
            fails("start {id}", "started before"),
            fails("delete {id}", "not stopped"),
            Step("state {id}", Out.JSON),
            Step("list", Out.ROWS),
            Step("list -f table", Out.ROWS),
            Step("list -q", Out.ROWS),
            Step("list --quiet --format=json", Out.ROWS),
            Step("ps --format json {id}", Out.NUMBERS),
            Step("ps -f=json {id}", Out.NUMBERS),
            Step("ps {id}", Out.ROWS),
            Step("ps {id} -ef", Out.ROWS),
            Step("kill {id} 0"),
            Step("pause {id}"),
            Step("state {id}", Out.JSON),
            fails("exec {id} true", "exec in a paused one", code=255),
            fails("pause {id}", "not running"),
            fails("delete {id}", "not stopped"),
            Step("resume {id}"),
            fails("resume {id}", "not paused"),
            Step("kill {id} KILL"),
            Step("state {id}", Out.JSON, wait="stopped"),
            fails("kill {id} TERM", "not running"),
            fails("exec {id} true", "exec in a stopped one", code=255),
            fails("pause {id}", "not running"),
            fails("resume {id}", "not paused"),
            fails("start {id}", "not running"),
            Step("kill --all {id} 9"),
            DELETE,
            fails("delete {id}", GONE),
            Step("delete --force {id}"),
            Step("delete -f {id}"),
        ),
    ),
    Story(
        "never started",
        SLEEP,
        (CREATE, Step("kill {id} KILL"), Step("state {id}", Out.JSON, wait="stopped"), DELETE),
    ),
    Story(
        "deleted before it was started",
        SLEEP,
        (CREATE, Step("delete {id}"), fails("state {id}", GONE)),
        nightly=True,
    ),
    Story(
        "deleted by force while it runs",
        SLEEP,
        (CREATE, Step("start {id}"), Step("delete --force {id}"), fails("state {id}", GONE)),
        nightly=True,
    ),
    Story(
        "ended by itself",
        "exit 3",
        (CREATE, Step("start {id}"), Step("kill --all {id} TERM", wait="stopped"), DELETE),
        nightly=True,
    ),
    Story(
        "run, attached",
        "cat; echo out; echo err >&2; exit 5",
        (
            Step("run --bundle {bundle} {id}", code=5, stdin=b"in\n"),
            Step("run --bundle={bundle} --pid-file {scratch}/pid {id}", code=5),
            Step("run -b {bundle} --keep {id}", code=5),
            Step("state {id}", Out.JSON),
            DELETE,
            Step(
                "run --no-pivot=false --no-new-keyring --no-subreaper -bundle {bundle} {id}", code=5
            ),
        ),
    ),
    Story(
        "run, detached",
        SLEEP,
        (
            Step("run --detach --bundle {bundle} --pid-file {scratch}/pid {id}"),
            Step("state {id}", Out.JSON),
            FORCE,
            Step("run -d -b {bundle} {id}"),
            FORCE,
        ),
    ),
    Story("run, killed", "kill -9 $$; sleep 9", (Step("run -b {bundle} {id}", code=0),)),
)

SIGNALS: Final = tuple(
    Story(
        f"kill {signal}",
        f"trap 'echo got; exit 7' {trapped}; touch /ready; while :; do sleep 0.1; done",
        (CREATE, Step("start {id}"), Step(f"kill {{id}} {signal}", wait="ready"),
         Step("state {id}", Out.JSON, wait="stopped"), DELETE),
        peer="crun" if "RT" in signal else "runc",
        nightly=signal != "TERM",
    )
    for signal, trapped in (
        ("TERM", "TERM"), ("15", "TERM"), ("SIGTERM", "TERM"), ("sigusr1", "USR1"), ("hup", "HUP"),
        ("RTMIN+3", "37"), ("SIGRTMAX-2", "62"),
    )
)  # fmt: skip

EXEC: Final = (
    Story(
        "exec with flags",
        SLEEP,
        (
            CREATE,
            Step("start {id}"),
            Step("exec {id} sh -c 'echo out; echo err >&2; exit 9'", code=9),
            Step("exec {id} cat", stdin=b"piped\n"),
            Step("exec --cwd /tmp {id} sh -c pwd"),
            Step("exec --cwd=/tmp {id} sh -c pwd"),
            Step("exec -e A=1 -e B=2 -e A=3 {id} sh -c 'echo $A$B'"),
            Step("exec -u 12:34 {id} id"),
            Step("exec --user=12 {id} sh -c 'id -u; id -g'"),
            Step("exec -g 5 -g 6 {id} id -G"),
            Step("exec -c CAP_CHOWN {id} busybox grep CapBnd /proc/self/status"),
            Step("exec --cap=CAP_SYS_TIME --cap CAP_CHOWN {id} busybox grep Cap /proc/self/status"),
            Step("exec --no-new-privs {id} busybox grep NoNewPrivs /proc/self/status"),
            Step("exec --ignore-paused {id} echo not paused"),
            Step("exec --preserve-fds 0 {id} ls /proc/self/fd", Out.SAME),
            Step("exec --pid-file {scratch}/pid {id} echo x"),
            Step("exec --detach --pid-file {scratch}/pid {id} true"),
            Step("exec -d {id} true"),
            Step("exec --process {bundle}/process.json {id}", code=4),
            Step("exec -p {bundle}/process.json --detach --pid-file {scratch}/pid {id}", Out.LATER),
            fails("exec {id} missing", "program missing", code=255),
            fails("exec {id} /missing", "program missing", code=255),
            fails("exec {id} /etc/passwd", "program refused", code=255),
            fails("exec {id} /etc", "program refused", code=255),
            fails("exec --cwd relative {id} true", "wrong specification", code=255),
            fails("exec --user nobody {id} true", "wrong specification", code=255),
            fails(
                "exec --cap CAP_FLY {id} true",
                "wrong specification",
                code=255,
                differs="An unknown capability is an error",
            ),
            fails("exec --process {bundle}/none.json {id}", "wrong specification", code=255),
            fails("exec --detach --tty {id} true", "wrong specification", code=255),
            fails(
                "exec --console-socket {scratch}/none {id} true", "wrong specification", code=255
            ),
            fails("exec {id}", "wrong specification", code=255),
            fails(
                "exec --preserve-fds 2 {id} true",
                "not supported",
                code=255,
                differs="No descriptors beyond the standard streams",
            ),
            fails("exec --cgroup sub {id} true", "not supported", differs="No sub-groups for exec"),
            fails(
                "exec --process-label a {id} true", "not supported", differs="No labels for exec"
            ),
            fails("exec --apparmor a {id} true", "not supported", differs="No labels for exec"),
            FORCE,
        ),
    ),
)

ERRORS: Final = (
    Story(
        "words that make no sense",
        SLEEP,
        (
            fails("state", "wrong count of words"),
            fails("state a b", "wrong count of words"),
            fails("create --bundle {bundle}", "wrong count of words"),
            fails("create --bundle {bundle} a/b", "bad id"),
            fails("create --bundle {bundle} ..", "bad id"),
            fails("create --bundle {scratch} {id}", "no specification"),
            fails("create --bundle {bundle}/none {id}", "no specification"),
            fails(
                "create --bundle {bundle} --pid-file {scratch}/no/pid {id}", "wrong specification"
            ),
            fails(
                "create --bundle {bundle} --console-socket {scratch}/none {id}",
                "wrong specification",
            ),
            fails("create --bundle {bundle} --preserve-fds x {id}", "wrong specification"),
            fails(
                "create --bundle {bundle} --preserve-fds 2 {id}",
                "not supported",
                differs="No descriptors beyond the standard streams",
            ),
            FORCE,
            fails("start {other}", GONE),
            fails("kill {other}", GONE),
            fails("kill {other} NONSENSE", GONE),
            fails("delete {other}", GONE),
            fails("exec {other} true", GONE, code=255),
            fails("ps {other}", GONE),
            fails("pause {other}", GONE),
            fails("resume {other}", GONE),
            fails("update --memory 1000000 {other}", GONE),
            fails("events --stats {other}", GONE),
            fails("state ../{other}", "bad id"),
            fails(
                "checkpoint --image-path {scratch}/image {id}",
                "not supported",
                differs="No checkpoints yet",
            ),
            fails(
                "restore --image-path {scratch}/image {id}",
                "not supported",
                differs="No checkpoints yet",
            ),
            fails("state --nonsense {id}", "unknown flag"),
            fails("--nonsense state {id}", "unknown flag"),
            fails("nonsense {id}", "unknown verb", differs="An unknown command ends with 1"),
            fails("create --bundle", "flag without value"),
            fails("list --format yaml", "wrong specification"),
            fails("--log-format yaml list", "wrong specification"),
        ),
    ),
)

OTHER: Final = (
    Story(
        "what needs no container",
        SLEEP,
        (
            Step("spec --bundle {scratch}"),
            fails("spec -b {scratch}", "wrong specification"),
            Step("--version", Out.SOME),
            Step("-v", Out.SOME),
            Step("--help", Out.SOME),
            Step("-h", Out.SOME),
            Step("state --help", Out.SOME),
            Step("exec -h", Out.SOME),
            Step("features", Out.JSON),
            Step("--root {scratch}/root --log {scratch}/log --log-format json --debug list -q"),
            Step("--root {scratch}/root --log={scratch}/log --log-format=text list -q"),
            Step("--root {scratch}/root --systemd-cgroup=false --rootless=false list -q"),
            Step("--root {scratch}/root --criu /usr/sbin/criu list -q"),
            Step("-root {scratch}/root -rootless false list -q"),
        ),
    ),
    Story(
        "what needs no container, as crun has it",
        SLEEP,
        (
            Step("--root={scratch}/root --cgroup-manager=disabled list -q"),
            Step("create --config {bundle}/config.json --bundle {bundle} {id}"),
            FORCE,
            Step("run -f {bundle}/config.json -b {bundle} -d {id}"),
            FORCE,
            fails("delete --regex --force none.*", "not supported", differs="No patterns"),
        ),
        peer="crun",
    ),
)

PROGRAMS: Final = tuple(
    Story(
        f"a program that cannot run: {args[0]}",
        "",
        (fails("create --bundle {bundle} {id}", complaint), fails("state {id}", GONE)),
        change=at("process.args", list(args)),
        nightly=args[0] != "missing",
    )
    for args, complaint in (
        (("missing",), "program missing"),
        (("/missing",), "program missing"),
        (("/etc/passwd",), "program refused"),
        (("/etc",), "program refused"),
        (("/etc/passwd/x",), "program missing"),
    )
)

NOTED: Final = (
    Story(
        "annotations are told",
        SLEEP,
        (CREATE, Step("state {id}", Out.JSON), DELETE),
        change=at("annotations.mine", "a"),
    ),
    Story("a user without privileges", SLEEP, (Step("spec --rootless --bundle {scratch}"),)),
)

_RULE: Final = {"names": ["mkdir"], "action": "SCMP_ACT_NONSENSE"}

REFUSED: Final = tuple(
    Story(
        f"a specification with a wrong {name}",
        SLEEP,
        (fails("create --bundle {bundle} {id}", "wrong specification", differs=differs),
         fails("state {id}", GONE, differs=differs)),
        change=change,
    )
    for name, change, differs in (
        ("version", at("ociVersion", "nonsense"), "A version that is none is an error"),
        ("root", at("root.path", "none"), ""),
        ("directory", at("process.cwd", "relative"), ""),
        ("empty command line", at("process.args", []), ""),
        ("limit", at("process.rlimits", [{"type": "RLIMIT_LUCK", "hard": 1, "soft": 1}]), ""),
        ("capability", at("process.capabilities.bounding", ["CAP_FLY"]),
         "An unknown capability is an error"),
        ("score", at("process.oomScoreAdj", 5000), ""),
        ("namespace", adding("linux.namespaces", {"type": "moon"}), ""),
        ("pair of namespaces", adding("linux.namespaces", {"type": "pid"}), ""),
        ("host name without a namespace", without("linux.namespaces", "type", "uts"), ""),
        ("setting of the kernel", at("linux.sysctl", {"vm.swappiness": "1"}), ""),
        ("setting without its namespace",
         together(without("linux.namespaces", "type", "network"),
                  at("linux.sysctl", {"net.ipv4.ip_forward": "1"})), ""),
        ("mapping", at("linux.uidMappings", [{"containerID": 0, "hostID": 1, "size": 1}]),
         "Mappings without a user namespace are an error"),
        ("device", at("linux.devices", [{"path": "/dev/x", "type": "q"}]), ""),
        ("action", at("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW",
                                        "architectures": ["SCMP_ARCH_X86_64"],
                                        "syscalls": [_RULE]}), ""),
        ("propagation", at("linux.rootfsPropagation", "sideways"), ""),
        ("file system", adding("mounts", {"destination": "/a", "type": "nonsense",
                                          "source": "a"}), ""),
        ("source", adding("mounts", {"destination": "/a", "type": "bind", "source": "/none/such",
                                     "options": ["bind"]}), ""),
        ("hook", at("hooks", {"prestart": [{"path": "relative"}]}), ""),
        ("cgroup", at("linux.resources", {"unified": {"a/b": "1"}}), ""),
    )
)  # fmt: skip

STORIES: Final = (*NOTED, *REFUSED, *LIFE, *SIGNALS, *EXEC, *ERRORS, *OTHER, *PROGRAMS)
