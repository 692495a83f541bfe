"""Where the homeserver's gate finds the bot, as config.yaml has it.

Never opens anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.nodes import Node

#: Paths of sockets may not be longer than this on Linux.
_LONGEST_PATH = 107


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A Unix socket, or a port with mutual TLS."""

    socket: Path | None = None
    host: str = ""
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def __str__(self) -> str:
        """Name the place."""
        return str(self.socket) if self.socket is not None else f"{self.host}:{self.port}"


def door(node: Node | None, folder: Path) -> Door | None:
    """Read where to listen; None where there is no gate. Raises ConfigError with the line."""
    if node is None:
        return None
    got = node.mapping(
        required=(), optional=("socket", "listen", "certificate", "key", "authority")
    )
    if ("socket" in got) == ("listen" in got):
        node.fail("give either a socket, or an address to listen at with TLS")
    if "socket" in got:
        path = folder / got["socket"].text()
        if len(str(path)) > _LONGEST_PATH:
            got["socket"].fail(f"{path} is too long for the name of a socket")
        return Door(socket=path)
    for name in ("certificate", "key", "authority"):
        if name not in got:
            node.fail(f"the key '{name}' is missing: on a port the gate must show who it is")
    host, colon, port = got["listen"].text().rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        got["listen"].fail("this is no address such as 127.0.0.1:8448")
    return Door(
        host=host,
        port=int(port),
        certificate=folder / got["certificate"].text(),
        key=folder / got["key"].text(),
        authority=folder / got["authority"].text(),
    )
