"""Reads people from an LDAP directory.

Never returns a part of them: an answer that broke off, hit a limit or named another server for the
rest is an error. Never logs a person.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.errors import DirectoryError
from bridge.rooms.directory import Directory
from bridge.secret import read_secret

_PATIENCE_S = 15
_PAGE = 500
#: Attributes that a template names.
_NAMED = re.compile(r"\{([A-Za-z][A-Za-z0-9;-]*)\}")
_PAGED = "1.2.840.113556.1.4.319"


class LdapSource:
    """Keeps the promise of `directory.Source`."""

    def __init__(self, where: Directory) -> None:
        """Ask *where*."""
        self._where = where

    def read(self) -> list[dict[str, str]]:
        """Return everybody."""
        entries = self._entries()
        ids = {
            dn.casefold(): _filled(self._where.columns["matrix_id"], found) for dn, found in entries
        }
        return [self._row(found, ids) for _, found in entries]

    def _row(self, found: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
        row = {name: _filled(text, found) for name, text in self._where.columns.items()}
        supervisor = row.get("supervisor", "")
        if supervisor and not supervisor.startswith("@"):
            row["supervisor"] = ids.get(supervisor.casefold(), "").lower()
        else:
            row["supervisor"] = supervisor.lower()
        row["matrix_id"] = row["matrix_id"].lower()
        return row

    def _entries(self) -> list[tuple[str, dict[str, str]]]:
        """Ask for everybody; (distinguished name, attributes in small letters)."""
        where, found = self._where, dict[str, dict[str, str]]()
        ldap3 = library()
        try:
            connection = self._connection(ldap3)
            try:
                connection.bind()
                for entry in self._asked(connection):
                    if entry.get("type") == "searchResRef":
                        raise DirectoryError(f"{where.url} names another server for some people")
                    if entry.get("type") == "searchResEntry":
                        found[str(entry["dn"])] = _plain(entry["attributes"])
            finally:
                _let_go(connection)
        except (ldap3.core.exceptions.LDAPException, OSError) as exc:
            raise DirectoryError(f"{where.url}: {_short(exc)}") from None
        if not found:
            raise DirectoryError(f"{where.url} has nobody under {where.base}")
        return list(found.items())

    def _connection(self, ldap3: Any) -> Any:
        where = self._where
        tls = None
        if where.url.startswith("ldaps:"):
            authority = str(where.authority) if where.authority is not None else None
            tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=authority)
        server = ldap3.Server(where.url, tls=tls, connect_timeout=_PATIENCE_S, get_info=ldap3.NONE)
        password = (
            read_secret(where.password, "the directory's password") if where.password else None
        )
        return ldap3.Connection(
            server,
            user=where.user or None,
            password=password,
            receive_timeout=_PATIENCE_S,
            raise_exceptions=True,
            read_only=True,
            return_empty_attributes=False,
            auto_referrals=False,
        )

    def _asked(self, connection: Any) -> Iterable[Mapping[str, Any]]:
        """Ask page by page, and hold each page's result to be a success."""
        where = self._where
        wanted = {name for text in where.columns.values() for name in _attributes(text)}
        cookie: object = None
        while True:
            connection.search(
                where.base,
                where.filter,
                attributes=sorted(wanted),
                paged_size=_PAGE,
                paged_cookie=cookie,
                time_limit=_PATIENCE_S,
            )
            result = connection.result
            if result.get("result") != 0:
                raise DirectoryError(f"{where.url} did not give everybody: {result['description']}")
            yield from connection.response or ()
            cookie = (result.get("controls") or {}).get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return


def library() -> Any:
    """Load ldap3, which nobody needs who has no directory."""
    with warnings.catch_warnings():
        # It uses names that pyasn1 calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import ldap3  # noqa: PLC0415 - see above
        import ldap3.core.exceptions  # noqa: PLC0415
    return ldap3


def _let_go(connection: Any) -> None:
    """End a connection, also one that broke off."""
    held = connection.socket
    with contextlib.suppress(Exception):  # whatever it was is said already
        connection.unbind()
    if held is not None:
        held.close()


def _attributes(text: str) -> list[str]:
    return _NAMED.findall(text) or [text]


def _filled(text: str, found: Mapping[str, str]) -> str:
    """Fill a column; a template of which a part is missing is empty."""
    if not _NAMED.search(text):
        return found.get(text.lower(), "")
    named = [name.lower() for name in _NAMED.findall(text)]
    if any(not found.get(name) for name in named):
        return ""
    return _NAMED.sub(lambda match: found[match[1].lower()], text)


def _plain(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Give each attribute as text; of several values all, as of roles."""
    return {name.lower(): _text(value) for name, value in attributes.items()}


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_text(one) for one in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return " ".join(str(value).split())


def _short(exc: Exception) -> str:
    """Say what went wrong, on one line."""
    return " ".join(str(exc).split())[:200] or type(exc).__name__
