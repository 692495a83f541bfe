"""Where people come from, when it is not people who write them down: a port, and its settings.

Never reads a directory itself. What comes from one is written into people.csv, which everything
else reads, so that a directory that is away changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.nodes import Node


class Source(Protocol):
    """Knows everybody who belongs to the force."""

    def read(self) -> list[dict[str, str]]:
        """Return everybody, each as a row of people.csv: all of them, or an error.

        Blocks; waits for no longer than a minute. What a row lacks is empty.

        Raises:
            DirectoryError: it was not reached, refused, or may have left somebody out.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """An LDAP directory, and what of it becomes which column of people.csv."""

    #: ldap://host or ldaps://host, with a port where it is another than usual.
    url: str
    #: Who signs its certificate; None: whoever this host trusts.
    authority: Path | None
    #: As whom we ask, and the file with the password; None: as nobody.
    user: str
    password: Path | None
    base: str
    filter: str
    every_minutes: int
    #: An attribute, or a template such as "@{uid}:force.example". A supervisor is another's DN.
    columns: Mapping[str, str]


def directory(node: Node | None, folder: Path) -> Directory | None:
    """Read the `directory:` part of config.yaml."""
    if node is None:
        return None
    got = node.mapping(
        required=("url", "base", "columns"),
        optional=("authority", "user", "password_file", "filter", "every_minutes"),
    )
    url = got["url"].text()
    scheme, _, host = url.partition("://")
    if scheme not in {"ldap", "ldaps"} or not host:
        got["url"].fail(f"{url!r} is not an address such as ldaps://ldap.force.example")
    if "user" in got and "password_file" not in got:
        got["user"].fail("name the file with its password: password_file")
    local = host.partition(":")[0] in {"127.0.0.1", "localhost"}
    if scheme == "ldap" and "user" in got and not local:
        got["url"].fail("the password would go in the clear: use ldaps://")
    columns = got["columns"].mapping(
        required=("matrix_id", "name"),
        optional=("collar", "team", "rank", "supervisor", "console", "roles"),
    )
    return Directory(
        url=url,
        authority=folder / got["authority"].text() if "authority" in got else None,
        user=got["user"].text() if "user" in got else "",
        password=folder / got["password_file"].text() if "password_file" in got else None,
        base=got["base"].text(),
        filter=got["filter"].text() if "filter" in got else "(objectClass=person)",
        every_minutes=(
            got["every_minutes"].integer(least=1, most=1440) if "every_minutes" in got else 5
        ),
        columns={name: value.text() for name, value in columns.items()},
    )
