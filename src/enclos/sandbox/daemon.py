"""A supervisor as a process: apart from its caller, with a log of its own."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from enclos import log
from enclos.errors import EnclosError
from enclos.linux import fork as forking
from enclos.linux import libc, mount, namespaces
from enclos.state import store

if TYPE_CHECKING:
    from collections.abc import Callable

LOG: Final = "supervisor.log"
"""In the sandbox's directory."""
LOG_BYTES: Final = 1 << 20
"""How long a supervisor's log becomes; one more of that length is kept."""


def fork(body: Callable[[int], None], keep: set[int]) -> None:
    """Have `body` run in a process of nobody's, with the descriptors `keep` of the caller's.

    It is given a descriptor of the caller's mount namespace, which it has left.
    """
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            _main(body, keep)
        os._exit(0)
    os.waitpid(middle, 0)


def _main(body: Callable[[int], None], keep: set[int]) -> NoReturn:
    code = 1
    try:
        body(_detach(keep))
        code = 0
    except (EnclosError, OSError) as error:
        log.error("supervisor failed", error=error)
    except Exception as error:  # noqa: BLE001 - the edge: nobody hears of it after os._exit
        log.error("supervisor broke", error=repr(error))
    finally:
        os._exit(code)


def _detach(keep: set[int]) -> int:
    """Leave the caller's session, descriptors, signals and mount namespace; the last one's
    descriptor, for what has to be done there."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    forking.reset_signals()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    forking.null_stdio()
    log.divert()
    forking.close_fds_except({0, 1, 2, *keep})
    forking.set_process_name("enclos-super")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    outside = namespaces.open_namespace(namespaces.path_of("mount"))
    libc.unshare(libc.CLONE_NEWNS)
    mount.make_slave(Path("/"))
    return outside


def write_log(path: Path, *, most_bytes: int = LOG_BYTES) -> None:
    """Have all that is said from now on in the file `path`, which is set aside when it is full."""

    def begin() -> None:
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)

    def begin_anew() -> None:
        store.set_aside(path)
        begin()

    begin()
    log.divert()
    log.limit(most_bytes, begin_anew)
