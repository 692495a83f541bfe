"""A real slapd on loopback, in a directory that can be thrown away."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.rooms import ldap
from bridge.rooms.directory import Directory
from bridge.rooms.ldap import library

ldap3 = library()

SLAPD = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/usr/libexec")
BASE = "dc=force,dc=example"
ROOT, PASSWORD = f"cn=admin,{BASE}", "a password for the tests"
CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
sizelimit {limit}
database mdb
suffix "{base}"
rootdn "{root}"
rootpw "{password}"
directory {folder}/data
"""
COLUMNS = {
    "matrix_id": "@{uid}:force.example",
    "name": "cn",
    "collar": "employeeNumber",
    "team": "ou",
    "rank": "title",
    "supervisor": "manager",
    "console": "mail",
    "roles": "businessCategory",
}


@dataclass
class Slapd:
    """A running directory of people."""

    port: int

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def where(self, folder: Path, **other: object) -> Directory:
        """What config.yaml would say of it."""
        password = folder / "ldap.password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        said = {"url": self.url, "user": ROOT, "password": password} | other
        return Directory(
            authority=None,
            base=f"ou=people,{BASE}",
            filter="(objectClass=inetOrgPerson)",
            every_minutes=5,
            columns=COLUMNS,
            **said,  # type: ignore[arg-type]
        )

    @contextlib.contextmanager
    def connect(self) -> Iterator[Any]:
        server = ldap3.Server(self.url, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, ROOT, PASSWORD, raise_exceptions=True)
        try:
            connection.bind()
            yield connection
        finally:
            if connection.socket is not None:
                connection.socket.close()

    def add(self, uid: str, connection: Any = None, **attributes: str | list[str]) -> None:
        found = {"cn": uid.title(), "sn": uid.title(), "uid": uid} | attributes
        with contextlib.ExitStack() as stack:
            open_one = connection or stack.enter_context(self.connect())
            open_one.add(f"uid={uid},ou=people,{BASE}", "inetOrgPerson", found)

    def remove(self, uid: str) -> None:
        with self.connect() as connection:
            connection.delete(f"uid={uid},ou=people,{BASE}")

    def empty(self) -> None:
        """Begin with nobody."""
        with self.connect() as connection:
            found: list[str] = []
            with contextlib.suppress(ldap3.core.exceptions.LDAPNoSuchObjectResult):
                connection.search(BASE, "(objectClass=*)", attributes=["1.1"])
                found = [str(entry["dn"]) for entry in connection.response]
            for dn in sorted(found, key=len, reverse=True):
                connection.delete(dn)
            connection.add(BASE, ["dcObject", "organization"], {"dc": "force", "o": "Force"})
            connection.add(f"ou=people,{BASE}", "organizationalUnit", {"ou": "people"})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: Path, limit: str = "unlimited") -> Iterator[Slapd]:
    if SLAPD is None:
        missing = "slapd is not installed: apt-get install slapd"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    (folder / "data").mkdir()
    config = folder / "slapd.conf"
    words = {"folder": folder, "base": BASE, "root": ROOT, "password": PASSWORD, "limit": limit}
    config.write_text(CONFIG.format(**words))
    server = Slapd(_free_port())
    command = [SLAPD, "-d", "0", "-f", str(config), "-h", server.url]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 180
            while True:
                assert process.poll() is None, "slapd did not start"
                try:
                    with server.connect():
                        break
                except ldap3.core.exceptions.LDAPException:
                    assert time.monotonic() < deadline, "slapd does not answer"
                    time.sleep(0.1)
            yield server
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """One slapd for all tests."""
    yield from started(tmp_path_factory.mktemp("slapd"))


@pytest.fixture
def slapd(running: Slapd, monkeypatch: pytest.MonkeyPatch) -> Slapd:
    """With nobody in it, and with patience."""
    monkeypatch.setattr(ldap, "_PATIENCE_S", 240)
    running.empty()
    return running
