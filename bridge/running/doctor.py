"""`bluelamp doctor`: whether everything is there that the bot needs, and fits together.

Never changes anything, and never stops at the first thing that is wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from bridge import __version__
from bridge.config import Config, load_certificates, load_register
from bridge.errors import BridgeError
from bridge.matrix import health
from bridge.matrix.api import Api
from bridge.matrix.identity import remembered
from bridge.model import RoomClass
from bridge.running import control, drafts
from bridge.running.parts import now

#: Clocks may differ by so much: checkpoints and appeals tell people times.
_CLOCK_S = 5.0
_DAY_MS = 86_400_000
_WARN_DAYS = 30


class Sign(StrEnum):
    """How one thing is."""

    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about one thing: what is so, and what to do where it should not be."""

    sign: Sign
    words: str


def _good(words: str) -> Finding:
    return Finding(sign=Sign.GOOD, words=words)


def _doubt(words: str) -> Finding:
    return Finding(sign=Sign.DOUBT, words=words)


def _bad(words: str) -> Finding:
    return Finding(sign=Sign.BAD, words=words)


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Look at one thing after the other, and say how it is."""
    try:
        server = await health.server(config.homeserver)
    except BridgeError as exc:
        yield _bad(f"{exc} Is it running, and is homeserver.url right?")
    else:
        yield _good(f"The homeserver at {config.homeserver} answers after {server.ms:.0f} ms.")
        yield _clocks(server.ahead_s)
        async for finding in _account(config):
            yield finding
    yield await _bot(config)
    for finding in _asked(config):
        yield finding
    for finding in _certificates(config):
        yield finding


def _clocks(ahead_s: float | None) -> Finding:
    if ahead_s is None:
        return _doubt("The homeserver does not say what time it is, so clocks were not compared.")
    if abs(ahead_s) > _CLOCK_S:
        which = "ahead of" if ahead_s > 0 else "behind"
        return _bad(
            f"The homeserver's clock is {abs(ahead_s):.0f} s {which} ours: set both by the same "
            "time server, or times on record will not be believed."
        )
    return _good("The homeserver's clock and ours agree.")


async def _account(config: Config) -> AsyncIterator[Finding]:
    session = remembered(config.state)
    if session is None:
        yield _doubt("The bot has not signed in yet: 'bluelamp run' does.")
        return
    async with Api(config.homeserver, session.token) as api:
        try:
            user, device = await health.whose(api)
            if user != config.user:
                yield _bad(f"The bot is signed in as {user} and should be {config.user}.")
                return
            yield _good(f"The bot is signed in as {user}, device {device}.")
            signed = await health.is_cross_signed(api, user, device)
            yield (
                _good("Its device is signed by its own identity, as strict clients want.")
                if signed
                else _bad(
                    "Its device is not signed by its own identity: strict clients will not give "
                    "it keys. Start the bot once with the password file in place."
                )
            )
            async for finding in _rooms(config, api):
                yield finding
            yield await _gate(config, api)
        except BridgeError as exc:
            yield _bad(f"The bot's account cannot be used: {exc}")


async def _rooms(config: Config, api: Api) -> AsyncIterator[Finding]:
    register, _, lock = load_register(config)
    rooms = register.resolve(lock)
    missing = [one.name for one in rooms.values() if not await health.is_in(api, one.id)]
    unmade = len(register.rooms) - len(rooms)
    if missing:
        yield _bad(f"The bot is not in: {', '.join(missing)}. See 'bluelamp rooms plan'.")
    if unmade:
        yield _doubt(f"{unmade} rooms are not made yet: run 'bluelamp rooms apply'.")
    if not missing and not unmade:
        yield _good(f"The bot is in all {len(rooms)} rooms on the register.")


async def _gate(config: Config, api: Api) -> Finding:
    found = await health.gate(api)
    match (config.gate, found):
        case (None, None):
            return _good("There is no gate: messages are judged after they were delivered.")
        case (None, _):
            return _doubt(
                "The homeserver has the gate's module, and config.yaml has no 'gate:': every "
                "message waits for an answer that does not come. Name the same socket in both."
            )
        case (_, None):
            return _doubt(
                "config.yaml has a gate, and the homeserver has no module 'bluelamp_gate.Gate': "
                "messages are judged after they were delivered."
            )
        case (_, health.Gate(bot_answers=False)):
            return _bad(
                f"The gate's module is there and the bot does not answer it at {config.gate}: is "
                "the bot running, and may Synapse's account use the socket?"
            )
        case (_, health.Gate(version=version)) if version != __version__:
            return _doubt(
                f"The gate's module is of version {version} and the bot of {__version__}: install "
                "the one that came with this bot."
            )
        case (_, health.Gate(stops_messages=False)):
            return _doubt("The gate's module is there and told not to stop messages.")
        case _:
            assert found is not None  # noqa: S101 - the cases above
            return _good(f"The gate's module asks the bot, which answers in {found.ms:.0f} ms.")


async def _bot(config: Config) -> Finding:
    try:
        answer = await control.ask(config.socket, control.Order(do="status"))
    except BridgeError as exc:
        return _bad(str(exc))
    if answer is None:
        return _bad("The bot is not running: start it with 'bluelamp run'.")
    return _good(f"The bot is running: {answer.text.splitlines()[0]}")


def _asked(config: Config) -> list[Finding]:
    try:
        register, _, lock = load_register(config)
    except BridgeError as exc:
        return [_bad(str(exc))]
    if any(one.cls is RoomClass.REVIEW for one in register.resolve(lock).values()):
        return []
    return [_bad("There is no review room: nobody can be asked about anything, or hears that a "
                 "room was locked.")]  # fmt: skip


def _certificates(config: Config) -> list[Finding]:
    try:
        certificates = load_certificates(config)
    except BridgeError as exc:
        return [_bad(str(exc))]
    found: list[Finding] = []
    for name in sorted(drafts.deciding(config).retention):
        left = (certificates.last_day(name) - now()) // _DAY_MS
        if left < 0:
            found.append(_bad(
                f"The custodians' certificates for {name} have ended: nothing of that class can "
                "be recorded. Run 'bluelamp keys issue' at each custodian."
            ))  # fmt: skip
        elif left < _WARN_DAYS:
            found.append(_doubt(
                f"The custodians' certificates for {name} end in {left} days: run 'bluelamp keys "
                "issue' at each custodian."
            ))  # fmt: skip
    return found or [_good("The custodians' certificates last for another month or more.")]
