"""A whole distribution in a container: its tools run, and large files come out as they went in."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import debian, leaks
from tests.support.cli import Programs
from tests.vm.conftest import Keep


@pytest.fixture(scope="module")
def image(programs: Programs) -> str:
    """The reference of the image; it stays in the store, as unpacking it takes a while."""
    reference = f"oci:{debian.layout()}:{debian.TAG}"
    programs.ok("pull", "-q", reference)
    return reference


@pytest.fixture(scope="module")
def box(keep: Keep, image: str) -> str:
    """A container of it."""
    return keep("-m", "1G", image=image)


@pytest.fixture
def leak_scope(programs: Programs) -> leaks.Scope:
    """Without the container's files, which these tests write; `keep` sees to it that they go."""
    return replace(programs.scope, roots=(programs.state_root,))


def bash(programs: Programs, box: str, script: str) -> str:
    """What a script in the container prints."""
    return programs.ok("exec", box, "bash", "-euo", "pipefail", "-c", script)


def test_its_package_manager_knows_it(programs: Programs, box: str) -> None:
    lines = bash(programs, box, "dpkg -l; dpkg --audit; dpkg --verify base-files").splitlines()
    assert sum(line.startswith("ii ") for line in lines) > 50
    assert platform.release() not in bash(programs, box, "uname -r")


def test_perl(programs: Programs, box: str) -> None:
    script = (
        "use strict; use List::Util qw(sum); use POSIX (); "
        "my %seen = map { $_ => unpack('H*', pack('N', $_)) } 1 .. 1000; "
        "print sum(map { $_ ** 2 } keys %seen), qq{ $seen{258} }, (POSIX::uname())[0], qq{\\n};"
    )
    out = programs.ok("exec", box, "perl", "-e", script)
    assert out == f"{sum(n * n for n in range(1, 1001))} 00000102 Linux\n"


def test_a_pipeline_of_many_processes(programs: Programs, box: str) -> None:
    script = (
        "seq 1 20000 | tee >(md5sum >/tmp/sum) | awk '{ print $1 % 7 }' | sort | uniq -c | "
        "sort -rn | head -3 | tr -s ' ' | cut -d' ' -f2 | paste -sd+; wait; "
        "for i in 1 2 3 4; do (sleep 0.1; echo $i >/tmp/job.$i) & done; wait; cat /tmp/job.?"
    )
    assert bash(programs, box, script).split() == ["2858+2857+2857", "1", "2", "3", "4"]


@pytest.mark.parametrize("size", [20_000_000, pytest.param(100_000_000, marks=pytest.mark.nightly)])
def test_a_large_file_comes_out_byte_by_byte(
    programs: Programs, box: str, tmp_path: Path, size: int
) -> None:
    script = (
        f"head -c {size} /dev/urandom >/srv/large; sha256sum /srv/large; "
        "chown 12:34 /srv/large; touch -d @1000000000 /srv/large"
    )
    expected = bash(programs, box, script).split()[0]
    programs.ok("cp", f"{box}:/srv/large", tmp_path / "out")
    with (tmp_path / "out").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == expected
    assert (tmp_path / "out").stat().st_size == size
    programs.ok("cp", tmp_path / "out", f"{box}:/srv/back")
    assert (
        bash(programs, box, "sha256sum /srv/back; rm /srv/large /srv/back").split()[0] == expected
    )


def test_a_tree_comes_out_with_all_its_links(programs: Programs, box: str, tmp_path: Path) -> None:
    programs.ok("cp", "-a", f"{box}:/etc", tmp_path)
    inside = bash(programs, box, "cd /etc; find . -type f -exec md5sum {} + | sort; find . | wc -l")
    found = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in inside.splitlines()[:-1]}
    for name, digest in found.items():
        data = (tmp_path / "etc" / name).read_bytes()
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == digest, name
    assert len([*(tmp_path / "etc").rglob("*")]) + 1 == int(inside.splitlines()[-1])
