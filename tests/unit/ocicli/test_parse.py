from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclos.errors import InvalidRequest
from enclos.ocicli import help as help_text
from enclos.ocicli.parse import Invocation, parse, partial_globals
from enclos.ocicli.table import GLOBAL, VERBS


def read(line: str) -> Invocation:
    return parse(line.split())


def verb(line: str) -> str:
    found = read(line)
    return found.verb.name if found.verb is not None else ""


def complaint(line: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(line)
    assert caught.value.hint
    return caught.value.message


CALLS = """\
--root R --debug --log L --log-format json --systemd-cgroup create --bundle B --pid-file P ID
--rootless=true create --bundle B --console-socket S --no-pivot --no-new-keyring --preserve-fds 2 ID
--log-format=json --log F create --bundle U --pid-file P --console-socket /tmp/conmon-term.X ID
--cgroup-manager disabled create --bundle U --pid-file P ID
--criu /usr/sbin/criu create -no-subreaper ID
--root R start ID
--root=R kill --all ID 15
kill -a ID KILL
kill ID SIGTERM
delete ID
delete --force ID
exec --process /tmp/runc-process1 --console-socket S --detach --pid-file B/e.pid ID
exec --pid-file P --process F --detach --tty --console-socket S ID
exec --process F ID
ps --format json ID
pause ID
resume ID
state ID
--root R list --format json
list -q
features
spec --rootless --bundle B
run -d --keep -b B ID"""


@pytest.mark.parametrize("line", CALLS.splitlines())
def test_what_engines_call_is_understood(line: str) -> None:
    found = read(line)
    assert found.verb is not None
    assert found.verb.module == f"enclos.ocicli.{found.verb.name}"
    assert not found.help
    if found.verb.least:
        assert found.arguments[0] == "ID"


def test_flags_and_their_values() -> None:
    found = read(
        "--root /r --log=l --log-format json create --bundle B -pid-file=P --preserve-fds 3 ID"
    )
    assert found.globals.text("root") == "/r"
    assert found.globals.text("log") == "l"
    assert found.globals.text("log-format", "text") == "json"
    assert found.flags.text("bundle") == "B"
    assert found.flags.text("pid-file") == "P"
    assert found.flags.number("preserve-fds") == 3
    assert found.flags.text("console-socket") == ""
    assert not found.flags.on("no-pivot")


@pytest.mark.parametrize("spelling", ["-b B", "--b B", "-b=B", "-bB", "-bundle B", "--bundle=B"])
def test_spellings_of_a_flag(spelling: str) -> None:
    assert read(f"create {spelling} ID").flags.text("bundle") == "B"


def test_switches() -> None:
    found = read("exec -dt --no-new-privs=false ID a")
    assert found.flags.on("detach")
    assert found.flags.on("tty")
    assert not found.flags.on("no-new-privs")
    assert "invalid value 'maybe' for --detach" in complaint("exec --detach=maybe ID a")


def test_flags_given_more_than_once() -> None:
    found = read("exec -e A=1 --env B=2 -u 1 -u 2 ID a")
    assert found.flags.texts("env") == ("A=1", "B=2")
    assert found.flags.text("user") == "2"


def test_a_command_keeps_its_own_flags() -> None:
    assert read("exec ID ls -l --detach").arguments == ("ID", "ls", "-l", "--detach")
    assert read("ps ID -ef").arguments == ("ID", "-ef")
    assert read("exec -- ID").arguments == ("ID",)


def test_other_verbs_take_flags_anywhere() -> None:
    found = read("kill ID 9 --all")
    assert found.arguments == ("ID", "9")
    assert found.flags.on("all")
    assert read("delete ID -f").flags.on("force")


def test_help_and_version() -> None:
    for line in ("", "--help", "-h", "help", "h"):
        assert read(line).help
        assert read(line).verb is None
    for line in ("create --help", "create -h", "help create", "create ID extra --help"):
        assert read(line).help
        assert verb(line) == "create"
    for line in ("--version", "-v", "--version create"):
        found = read(line)
        assert found.globals.on("version")
        assert found.verb is None
        assert not found.help


def test_help_needs_no_arguments_and_names_every_flag() -> None:
    for one in VERBS:
        if one.refused:
            continue
        assert parse([one.name, "--help"]).help
        text = help_text.of_verb(one)
        assert one.usage in text
        assert [f.name for f in one.flags if not f.refused and f"--{f.name}" not in text] == []
        assert one.summary in help_text.overview()
    assert [flag.name for flag in GLOBAL if f"--{flag.name}" not in help_text.overview()] == []


@pytest.mark.parametrize("name", ["checkpoint", "restore"])
@pytest.mark.parametrize("rest", ["--help", "ID", "", "--lsm-mount-context"])
def test_verbs_that_are_not_there_fail_whatever_is_asked(name: str, rest: str) -> None:
    found = complaint(f"{name} {rest}")
    assert found.startswith(f"enclos-oci {name} is not supported")
    assert "needs an argument" not in found
    assert "not supported" in complaint(f"help {name}")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("bogus", "unknown command 'bogus'"),
        ("--bogus create", "flag provided but not defined: --bogus"),
        ("create --bogus=1 ID", "flag provided but not defined: --bogus"),
        ("exec -dX ID a", "flag provided but not defined: -dX"),
        ("kill ID -9", "flag provided but not defined: -9"),
        ("create --bundle", "flag needs an argument: --bundle"),
        ("create -b", "flag needs an argument: -b"),
        ("create", '"enclos-oci create" requires exactly 1 argument, not 0'),
        ("create a b", '"enclos-oci create" requires exactly 1 argument, not 2'),
        ("kill a b c", '"enclos-oci kill" requires at most 2 arguments, not 3'),
        ("exec", '"enclos-oci exec" requires at least 1 argument, not 0'),
        ("features x", '"enclos-oci features" requires exactly 0 arguments, not 1'),
        ("list --format xml", "invalid value 'xml' for --format"),
        ("--log-format yaml list", "invalid value 'yaml' for --log-format"),
        ("exec --apparmor P ID a", "--apparmor is not supported"),
        ("exec --apparmor p ID a", "--apparmor is not supported"),
        ("delete --regex .", "--regex is not supported"),
    ],
)
def test_nonsense_is_named(line: str, found: str) -> None:
    assert found in complaint(line)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "٣", "99999999999"])
def test_numbers_are_checked(value: str) -> None:
    flags = parse(["create", f"--preserve-fds={value}", "ID"]).flags
    with pytest.raises(InvalidRequest, match="for --preserve-fds"):
        flags.number("preserve-fds")


def test_a_flag_the_verb_has_not_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        read("start ID").flags.text("bundle")


def test_a_bad_line_still_says_where_to_log() -> None:
    found = partial_globals(["--log", "F", "--log-format=json", "--bogus", "create"])
    assert found.text("log") == "F"
    assert found.text("log-format") == "json"


def test_the_table_is_sound() -> None:
    names = [one.name for one in VERBS]
    assert len(names) == len(set(names))
    for one in VERBS:
        spellings = [s for flag in one.flags for s in (flag.name, flag.short) if s]
        assert len(spellings) == len(set(spellings)), one.name
        assert all(flag.help for flag in one.flags)
        assert not one.summary.endswith(".")


WORDS = st.sampled_from(
    "create exec kill list --root --bundle -b B ID -dt --detach=false -- --help - = --=x".split()
)


@given(st.lists(WORDS | st.text(max_size=6), max_size=6))
def test_parsing_is_total(words: list[str]) -> None:
    try:
        assert isinstance(parse(words), Invocation)
    except InvalidRequest:
        return
