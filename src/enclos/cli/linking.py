"""Containers that link to another one: told of its addresses whenever it is started anew.

As docker does. What a stopped one had stays in their hosts files, and in what is noted of links.
"""

from __future__ import annotations

from collections.abc import Iterator

from enclos.cli import belongings, complain, connecting, lookup, memberships
from enclos.cli.home import Home
from enclos.errors import EnclosError


def tell(home: Home, container_id: str) -> None:
    """Let those that run know the addresses that the container has now.

    Each alone, while its starter has this one: a container links to older ones only, so nobody
    waits in a circle.
    """
    for follower in _followers(home, container_id):
        try:
            with belongings.alone(home, follower):
                found = lookup.find(home, follower)
                if found.running:
                    memberships.note_links_again(home, found.defined())
                    connecting.rewrite(home, found.defined())
        except (EnclosError, OSError) as error:  # the one that starts is not to suffer for it
            if lookup.directory(home, follower).exists():  # it may just have been removed
                complain.complain(error)


def _followers(home: Home, container_id: str) -> Iterator[str]:
    """Running containers that link to it."""
    for one in lookup.everything(home):
        links = one.definition.network.links if one.definition is not None else ()
        if one.running and any(text.partition(":")[0] == container_id for text in links):
            yield one.id
