"""A real Synapse on loopback, in a directory that can be thrown away.

Never reachable from another machine, never federates, never reports to anyone; its limits and
password hashing are set for speed, so it is never fit for a force.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from bridge.errors import BridgeError

_LOOPBACK = "127.0.0.1"
_START_S, _STOP_S = 180.0, 30.0
_LOG_LINES = 12

_FAST = {"per_second": 10_000, "burst_count": 10_000}
#: Synapse's limits are made for the open internet; a script types faster than people do.
_UNLIMITED: dict[str, Any] = {
    "rc_message": _FAST,
    "rc_registration": _FAST,
    "rc_login": {"address": _FAST, "account": _FAST, "failed_attempts": _FAST},
    "rc_admin_redaction": _FAST,
    "rc_joins": {"local": _FAST, "remote": _FAST},
    "rc_joins_per_room": _FAST,
    "rc_invites": {"per_room": _FAST, "per_user": _FAST, "per_issuer": _FAST},
    "rc_room_creation": _FAST,
    "rc_media_create": _FAST,
    "rc_reports": _FAST,
    "rc_key_requests": _FAST,
    "rc_user_directory": _FAST,
    "rc_presence": {"per_user": _FAST},
}


def _silent(_: str) -> None:
    """Report to nobody."""


class Homeserver:
    """One Synapse process and its directory.

    Everything it writes lies under *directory*, also its port and keys, so that it can be stopped
    and started again with what it knew. Methods block (a start takes about three seconds); from
    async code use `async with`, or `asyncio.to_thread`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        server_name: str = "force.example",
        port: int | None = None,
        settings: Mapping[str, Any] | None = None,
        progress: Callable[[str], None] = _silent,
    ) -> None:
        """Prepare a server in *directory*; nothing is written or started yet.

        *port* None takes the one it had before, or a free one. *settings* replace keys of
        homeserver.yaml. *progress* is told in a few words what is being done.
        """
        self.directory = directory.absolute()
        self.log = self.directory / "homeserver.log"
        self.server_name = server_name
        self._port = port
        self._settings = dict(settings or {})
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._secret = ""

    @property
    def url(self) -> str:
        """Where clients find it; known once it was started."""
        return f"http://{_LOOPBACK}:{self._port}"

    @property
    def running(self) -> bool:
        """Say whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers; does nothing if it runs.

        Raises:
            BridgeError: Synapse is not installed, the port is taken, or it died or hung.
        """
        if self.running:
            return
        if importlib.util.find_spec("synapse") is None:
            raise BridgeError(
                "The demo needs the Synapse homeserver, which is not installed: "
                "pip install 'bluelamp[demo]'"
            )
        config = self._configure()
        self._refuse_taken_port()
        self._progress(f"Starting the homeserver {self.server_name} on {self.url}")
        began = time.monotonic()
        self._process = self._spawn(config)
        try:
            self._await_answer(began + _START_S)
        except BaseException:
            self.stop()
            raise
        self._progress(f"The homeserver answers after {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """Ask it to end, make it end after half a minute, and keep its directory."""
        process, self._process = self._process, None
        if process is None:
            return
        self._progress("Stopping the homeserver")
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        (self.directory / "homeserver.pid").unlink(missing_ok=True)

    def register(
        self, user: str, password: str, admin: bool = False, display_name: str | None = None
    ) -> None:
        """Make the account @*user*:server; one that exists already is left as it is.

        Raises:
            BridgeError: the server does not run or refuses.
        """
        path = "/_synapse/admin/v1/register"
        _, answer = self._ask("GET", path)
        nonce = str(answer.get("nonce", ""))
        role = "admin" if admin else "notadmin"
        words = "\0".join((nonce, user, password, role)).encode()
        # Shared-secret registration, Synapse admin API: HMAC-SHA1 is its choice, not ours.
        mac = hmac.new(self._secret.encode(), words, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac}
        if display_name is not None:
            body["displayname"] = display_name
        status, answer = self._ask("POST", path, body)
        if status != 200 and answer.get("errcode") != "M_USER_IN_USE":
            raise BridgeError(
                f"The homeserver did not make the account {user!r}: "
                f"{status} {answer.get('errcode', '')} {answer.get('error', '')}"
            )

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start it without holding up the event loop."""
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop it without holding up the event loop."""
        await asyncio.to_thread(self.stop)

    def _configure(self) -> Path:
        """Write homeserver.yaml, keeping the port and secrets of an earlier start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "homeserver.yaml"
        old = _read_mapping(path)
        if self._port is None:
            listeners = old.get("listeners")
            self._port = int(listeners[0]["port"]) if listeners else _free_port()
        key = self.directory / "signing.key"
        if not key.exists():
            seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            _write_private(key, f"ed25519 a_{secrets.token_hex(2)} {seed}\n")
        log_config = self.directory / "log.yaml"
        _write_private(log_config, yaml.safe_dump(_LOG_CONFIG))
        config = self._sheet(old, key, log_config) | self._settings
        self._secret = str(config["registration_shared_secret"])
        _write_private(path, yaml.safe_dump(config, sort_keys=False))
        return path

    def _sheet(self, old: Mapping[str, Any], key: Path, log_config: Path) -> dict[str, Any]:
        """Compose the settings; secrets come from *old* where it has them."""
        listener = {
            "port": self._port,
            "bind_addresses": [_LOOPBACK],
            "type": "http",
            "tls": False,
            "resources": [{"names": ["client"], "compress": False}],
        }
        hidden = {
            name: old.get(name) or secrets.token_urlsafe(32)
            for name in ("registration_shared_secret", "macaroon_secret_key", "form_secret")
        }
        database = {"database": str(self.directory / "homeserver.db")}
        return {
            "server_name": self.server_name,
            "public_baseurl": f"{self.url}/",
            "listeners": [listener],
            "database": {"name": "sqlite3", "args": database},
            "signing_key_path": str(key),
            "log_config": str(log_config),
            "media_store_path": str(self.directory / "media"),
            "report_stats": False,
            "enable_metrics": False,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "federation_domain_whitelist": [],
            "enable_registration": False,
            "allow_guest_access": False,
            "url_preview_enabled": False,
            "presence": {"enabled": False},
            # Its search index keeps the words of redacted messages.
            "enable_search": False,
            # How long the text of a redacted event stays in the database: longer than a debt lives.
            "redaction_retention_period": "2d",
            "bcrypt_rounds": 4,
            **hidden,
            **_UNLIMITED,
        }

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, self._port or 0))
            except OSError as exc:
                raise BridgeError(
                    f"The homeserver cannot use port {self._port} on {_LOOPBACK} ({exc.strerror})"
                    f"{self._left_over()}: stop what uses it, or name another port"
                ) from None

    def _left_over(self) -> str:
        """Name the process that an earlier start left behind, if it did."""
        try:
            pid = int((self.directory / "homeserver.pid").read_text())
        except (OSError, ValueError):
            return ""
        return f"; the homeserver of an earlier run may still be running as process {pid}"

    def _spawn(self, config: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(config)]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in our terminal reaches us and not it.
            process = subprocess.Popen(  # noqa: S603  (our own interpreter, no shell)
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.directory / "homeserver.pid").write_text(f"{process.pid}\n")
        return process

    def _await_answer(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if not self.running:
                raise BridgeError(f"The homeserver died while starting. {self._last_words()}")
            with contextlib.suppress(BridgeError):
                if self._ask("GET", "/_matrix/client/versions")[0] == 200:
                    return
            time.sleep(0.1)
        raise BridgeError(
            f"The homeserver gave no answer in {_START_S:.0f} s. {self._last_words()}"
        )

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        except OSError:
            lines = []
        return "\n".join((f"Its log is {self.log}; its last lines:", *lines))

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Ask the server, and return the status and the JSON of its answer."""
        connection = http.client.HTTPConnection(_LOOPBACK, self._port, timeout=30)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise BridgeError(f"The homeserver does not answer at {self.url}: {exc}") from None
        finally:
            connection.close()
        return response.status, answer if isinstance(answer, dict) else {}


_LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"log": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["log"]},
    # Any module that hears of new events makes Synapse warn of its own bookkeeping, each time.
    "loggers": {"synapse.logging.context": {"level": "ERROR"}},
    "disable_existing_loggers": False,
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _read_mapping(path: Path) -> dict[str, Any]:
    """Read a file that we wrote ourselves, or nothing."""
    if not path.exists():
        return {}
    value = yaml.safe_load(path.read_text())
    return value if isinstance(value, dict) else {}


def _write_private(path: Path, text: str) -> None:
    """Write *text* so that only we can read it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
