"""The console's application in this process, spoken to over HTTP as a browser would."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jinja2.bccache
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from bridge.config import load_policies
from bridge.console import accounts as keeping
from bridge.console import desk as reading_policies
from bridge.console import server
from bridge.console.desk import Desk
from bridge.console.guard import COOKIE
from bridge.console.settings import load_settings
from bridge.ledger import vault as vaults
from bridge.model import Ms
from bridge.records import consult as recording
from tests.making import Hands
from tests.unit.console.world import STAFF, World, found

AGENT = "a browser"
#: 22 November 2026, noon UTC.
NOW = Ms(1_795_348_800_000)


class Compiled(jinja2.BytecodeCache):
    """Templates that were compiled once, by what they say."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if (known := self._known.get((bucket.key, bucket.checksum))) is not None:
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


@pytest.fixture(scope="package", autouse=True)
def quick() -> Iterator[None]:
    """Stretch passphrases less, and read policies and templates once: that is tested elsewhere."""
    read = functools.cache(load_policies)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_policies, "load_policies", read)
        patch.setattr(recording, "load_policies", read)
        patch.setattr(vaults, "_MEMORY_KIB", 64)
        patch.setattr(keeping, "_hasher", PasswordHasher(1, 64, 1))
        once = functools.partial(jinja2.Environment, bytecode_cache=Compiled())
        patch.setattr(jinja2, "Environment", once)
        yield


@pytest.fixture(scope="package")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for what npm builds."""
    folder = tmp_path_factory.mktemp("static")
    for name in ("console.css", "console.js", "early.js", "lamp.svg", "images/icon-x.svg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("/* nothing */")
    return folder


@pytest.fixture(scope="package")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return found(tmp_path_factory.mktemp("world") / "force", "psd")


@dataclass
class Browser:
    """A browser that sends what browsers send; nobody is signed in yet."""

    client: TestClient[Any, Any]
    desk: Desk
    world: World
    clock: Hands
    token: str = ""
    name: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.ask("GET", path, headers={"Sec-Fetch-Mode": "navigate", **headers})

    async def post(
        self, path: str, data: Mapping[str, Any] | Any = None, **headers: str
    ) -> aiohttp.ClientResponse:
        given = {"Sec-Fetch-Site": "same-origin", **headers}
        return await self.ask("POST", path, headers=given, data=data or {})

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str], **more: Any
    ) -> aiohttp.ClientResponse:
        every = {"User-Agent": AGENT, **headers}
        every = {name.replace("_", "-"): value for name, value in every.items()}
        if self.token:
            every["Cookie"] = f"{COOKIE}={self.token}"
        answer = await self.client.request(
            method, path, headers=every, allow_redirects=False, **more
        )
        if COOKIE in answer.cookies:
            self.token = answer.cookies[COOKIE].value
        await answer.read()
        return answer

    async def ended(self, place: str) -> str:
        """The page of a search or a trial, once that is over."""
        async with asyncio.timeout(120):
            while True:
                answer = await self.get(place)
                page = await answer.text()
                if 'data-live="running"' not in page:
                    assert answer.status == 200, page
                    return page
                await asyncio.sleep(0.01)

    def sign_in(self, name: str) -> Browser:
        """Another browser in which *name* has signed in."""
        account = self.desk.accounts.get(name)
        assert account is not None
        token = self.desk.sessions.begin(name, account.epoch, AGENT)
        return Browser(self.client, self.desk, self.world, self.clock, token, name)

    async def start(
        self, purpose: str = "Audit of how rooms are used", case: str = "C/1"
    ) -> Browser:
        answer = await self.post("/start", {"purpose": purpose, "case": case, "then": "/"})
        assert answer.status == 303
        return self

    async def unlock(self, name: str = "psd") -> Browser:
        form = aiohttp.FormData()
        form.add_field("vault", name)
        form.add_field("passphrase", self.world.passphrase(name))
        share = self.world.share(name).read_bytes()
        form.add_field("share", share, filename="share", content_type="text/plain")
        answer = await self.post("/keys/unlock", form)
        assert answer.status == 303, await answer.text()
        return self


@pytest_asyncio.fixture
async def browser(
    world: World, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Browser]:
    """Nobody's browser, on a console whose people have all enrolled."""
    monkeypatch.setattr(server, "STATIC", styles)
    clock = Hands(NOW)
    config = world.config
    desk = server.desk(config, load_settings(None, config), clock)
    for name in STAFF:
        if desk.accounts.get(name) is None:
            world.enrolled(name, NOW)
    app = server.application(desk)
    # Under the name that the settings allow.
    running = TestServer(app, host="127.0.0.1")
    client = TestClient(running, cookie_jar=aiohttp.DummyCookieJar())
    await client.start_server()
    yield Browser(client, desk, world, clock)
    desk.sessions.close()
    await desk.recorder.close()
    await client.close()
