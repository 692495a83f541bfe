"""What homeserver.yaml says of the gate, read strictly.

Never guesses: an unknown key or a value of the wrong kind keeps Synapse from starting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Each thing that the server can hold for us, and whether it does unless told otherwise.
SWITCHES = {
    "stop_messages": True,
    "wait_for_bot": True,
    "no_plaintext": True,
    "guard_state": True,
    "guard_invitations": True,
    "rooms_by_template": False,
}
_LONGEST_MS = 5_000


@dataclass(frozen=True)
class Tls:
    """Files in PEM for mutual TLS."""

    certificate: str
    key: str
    authority: str


@dataclass(frozen=True)
class Settings:
    """What homeserver.yaml says."""

    bot: str
    #: Where the bot listens: a Unix socket, or https://host:port with *tls*.
    socket: str = ""
    url: str = ""
    tls: Tls | None = None
    budget_ms: int = 300
    #: After so many unanswered questions in a row nobody is asked for *rest_s*.
    failures: int = 3
    rest_s: float = 5.0
    #: Where people ask for a room; stands in the error text.
    ask: str = "your administrator"
    #: Servers whose people may be invited into managed rooms, beside our own.
    partners: frozenset[str] = frozenset()
    stop_messages: bool = True
    wait_for_bot: bool = True
    no_plaintext: bool = True
    guard_state: bool = True
    guard_invitations: bool = True
    rooms_by_template: bool = False


def read(raw: object) -> Settings:
    """Read the `config` of the module.

    Raises:
        ValueError: it is not as it should be; the text says what is wrong.
    """
    if not isinstance(raw, Mapping):
        raise ValueError("the gate's config needs at least 'bot' and 'socket'")  # noqa: TRY004
    known = set(Settings.__dataclass_fields__)
    for name in raw:
        if name not in known:
            raise ValueError(f"unknown key {name!r}; known are: {', '.join(sorted(known))}")
    bot = _text(raw, "bot", needed=True)
    if not bot.startswith("@") or ":" not in bot:
        raise ValueError("'bot' must be a Matrix id such as @bluelamp:force.example")
    settings = Settings(
        bot=bot,
        socket=_text(raw, "socket"),
        url=_text(raw, "url").rstrip("/"),
        tls=_tls(raw.get("tls")),
        budget_ms=_number(raw, "budget_ms", 300, _LONGEST_MS),
        failures=_number(raw, "failures", 3, 100),
        rest_s=float(_number(raw, "rest_s", 5, 600)),
        ask=_text(raw, "ask") or "your administrator",
        partners=_partners(raw.get("partners", [])),
        **{name: _switch(raw, name, default) for name, default in SWITCHES.items()},
    )
    if bool(settings.socket) == bool(settings.url):
        raise ValueError("give either 'socket' or 'url', and not both")
    if settings.url and (not settings.url.startswith("https://") or settings.tls is None):
        raise ValueError("'url' must be https:// and needs 'tls': certificate, key, authority")
    return settings


def _text(raw: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or (needed and not value):
        raise ValueError(f"{name!r} must be text")
    return value


def _number(raw: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = raw.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name!r} must be a whole number from 1 to {most}")
    return value


def _switch(raw: Mapping[str, Any], name: str, default: bool) -> bool:
    value = raw.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name!r} must be true or false")  # noqa: TRY004
    return value


def _partners(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("'partners' must be a list of server names")
    return frozenset(value)


def _tls(value: object) -> Tls | None:
    if value is None:
        return None
    names = ("certificate", "key", "authority")
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise ValueError(f"'tls' must have exactly: {', '.join(names)}")
    return Tls(**{name: _text(value, name, needed=True) for name in names})
