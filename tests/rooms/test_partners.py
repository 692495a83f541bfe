"""People of other homeservers in a community room: servers that really federate, on loopback."""

from __future__ import annotations

import asyncio
import datetime
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.demo.homeserver import Homeserver
from bridge.errors import ConfigError, NotFound, NotPermitted
from bridge.matrix import desired
from bridge.matrix.api import Api, login, quote
from bridge.model import RoomId, UserId
from bridge.register import load_people, load_rooms
from tests.homeserver.conftest import PASSWORD
from tests.homeserver.test_rooms import PEOPLE, V3, house_of, invite, join, joined
from tests.homeserver.test_rooms import ROOMS as FOUR_ROOMS
from tests.rooms.conftest import Estate

pytestmark = pytest.mark.slow

LAST_DAY = datetime.date(2027, 1, 31)
DAY = datetime.timedelta(days=1)
PATIENCE_S = 300
PARTNERS = """\
partners:
  "{partner}": {{until: 2027-03-31}}
"""
GUESTS = '    guests: [{{id: "@{tag}-lea:{guest}", until: 2027-01-31}}]\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - DAY)
        .not_valid_after(today + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def federating(folder: Path, port: int, names: list[str], tls: tuple[Path, Path]) -> Homeserver:
    """One of several servers; its name says where the others find it: localhost and *port*."""
    clients = free_port()
    plain = {"type": "http", "bind_addresses": ["127.0.0.1"]}
    return Homeserver(
        folder,
        server_name=f"localhost:{port}",
        port=clients,
        settings={
            "listeners": [
                {
                    **plain,
                    "port": clients,
                    "tls": False,
                    "resources": [{"names": ["client"], "compress": False}],
                },
                {
                    **plain,
                    "port": port,
                    "tls": True,
                    "resources": [{"names": ["federation"], "compress": False}],
                },
            ],
            "tls_certificate_path": str(tls[0]),
            "tls_private_key_path": str(tls[1]),
            "federation_verify_certificates": False,
            # A request that a starved server does not answer in time is made again at once.
            "federation": {
                "client_timeout": "120s",
                "destination_min_retry_interval": "1s",
                "destination_max_retry_interval": "2s",
            },
            "federation_domain_whitelist": names,
            "ip_range_blacklist": [],
        },
    )


@dataclass(frozen=True)
class Servers:
    """The force's, a partner's, and one that nobody has named."""

    force: Homeserver
    partner: Homeserver
    third: Homeserver


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    top = tmp_path_factory.mktemp("federation")
    tls, ports = certificate(top), [free_port() for _ in range(3)]
    names = [f"localhost:{port}" for port in ports]
    with ExitStack() as stack:
        made = [
            stack.enter_context(federating(top / f"server{n}", port, names, tls))
            for n, port in enumerate(ports)
        ]
        yield Servers(*made)


@dataclass(kw_only=True)
class Federated(Estate):
    """An estate of a server of another name."""

    server: str

    def person(self, name: str) -> UserId:
        return UserId(f"@{self.tag}-{name}:{self.server}")


@dataclass
class Town:
    """A community room, and accounts on three servers."""

    estate: Federated
    servers: Servers
    apis: list[Api]

    @property
    def room(self) -> RoomId:
        return self.estate.room("social")

    async def account(self, server: Homeserver, name: str) -> tuple[UserId, Api]:
        local = f"{self.estate.tag}-{name}"
        server.register(local, PASSWORD)
        token = (await login(server.url, local, PASSWORD, device_name="test")).token
        self.apis.append(Api(server.url, token))
        return UserId(f"@{local}:{server.server_name}"), self.apis[-1]

    async def comes(self, user: UserId, api: Api) -> None:
        """Be asked in, and join, and be seen by the force's server."""

        async def asked() -> bool:
            sync = await api.call("GET", f"{V3}/sync", query={"timeout": "0"})
            return self.room in (sync.get("rooms") or {}).get("invite", {})

        async def inside() -> bool:
            path = f"{V3}/rooms/{quote(self.room)}/joined_members"
            return user in (await self.estate.api.call("GET", path))["joined"]

        await eventually(asked)
        await join(api, self.room)
        await eventually(inside)

    async def put_out(self, api: Api) -> None:
        """See on their own server that somebody is no longer there, and cannot come back."""

        async def outside() -> bool:
            return self.room not in await joined(api)

        await eventually(outside)
        force = self.servers.force.server_name
        by = {"server_name": force, "via": force}
        with pytest.raises(NotPermitted):
            await api.call("POST", f"{V3}/join/{quote(self.room)}", {}, query=by)
        with pytest.raises(NotPermitted):
            await self.say(api, "may I?")

    async def say(self, api: Api, words: str) -> str:
        path = f"{V3}/rooms/{quote(self.room)}/send/m.room.encrypted/{token_hex(8)}"
        return str((await api.call("PUT", path, {"ciphertext": words}))["event_id"])

    async def reads(self, api: Api, event: str, words: str) -> None:
        async def there() -> bool:
            path = f"{V3}/rooms/{quote(self.room)}/event/{quote(event)}"
            try:
                found = await api.call("GET", path)
            except NotFound:
                return False
            return bool(found["content"]["ciphertext"] == words)

        await eventually(there)


async def eventually(state: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await state():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


def register_of(tag: str, servers: Servers, guest: str) -> str:
    """Write a register whose social room is a community room with one guest."""
    rooms = FOUR_ROOMS.replace("force.example", servers.force.server_name)
    rooms = rooms.replace("    class: social\n", "    class: community\n" + GUESTS)
    rooms = rooms.replace("teams:\n", PARTNERS + "teams:\n")
    return rooms.format(tag=tag, partner=servers.partner.server_name, guest=guest)


@pytest.fixture
async def apis() -> AsyncIterator[list[Api]]:
    """Closed after the test, whatever became of it."""
    made = list[Api]()
    yield made
    for api in made:
        await api.close()


@pytest.fixture(params=["12", "11"])
async def town(
    request: pytest.FixtureRequest,
    tag: str,
    servers: Servers,
    apis: list[Api],
    monkeypatch: pytest.MonkeyPatch,
) -> Town:
    monkeypatch.setattr(desired, "ROOM_VERSION", request.param)
    force = servers.force
    written = register_of(tag, servers, servers.partner.server_name)
    people = PEOPLE.replace("force.example", force.server_name).format(tag=tag)

    async def sign_in(user: str) -> Api:
        local = user.removeprefix("@").partition(":")[0]
        force.register(local, PASSWORD)
        token = (await login(force.url, local, PASSWORD, device_name="test")).token
        apis.append(Api(force.url, token))
        return apis[-1]

    bot = UserId(f"@{tag}-bot:{force.server_name}")
    house = house_of(load_rooms(written, "rooms.yaml"), load_people(people, "people.csv"), bot)
    house = replace(house, today=LAST_DAY)
    # Whom an invitation reaches, their server has to know.
    servers.partner.register(f"{tag}-lea", PASSWORD)
    estate = Federated(
        tag=tag,
        house=house,
        api=await sign_in(bot),
        sign_in=sign_in,
        version=request.param,
        server=force.server_name,
    )
    await estate.make()
    return Town(estate, servers, apis)


async def test_a_partners_person_belongs_until_their_last_day_and_then_goes(town: Town) -> None:
    user, lea = await town.account(town.servers.partner, "lea")
    await town.comes(user, lea)
    allow = (await town.estate.state("social", "m.room.server_acl"))["allow"]
    ours, theirs = town.servers.force.server_name, town.servers.partner.server_name
    assert allow == [ours, "localhost", theirs]
    anna = await town.estate.joins("anna", "social")
    await town.reads(lea, await town.say(anna, "good morning"), "good morning")
    await town.reads(anna, await town.say(lea, "and to you"), "and to you")
    await town.estate.look("social")
    assert await town.estate.faults("social") == []
    assert town.room in await joined(lea), "on their last day they belong there"

    town.estate.house = replace(town.estate.house, today=LAST_DAY + DAY)
    await town.estate.look("social")
    assert f"{user} is in the room but not on the register" in town.estate.notes[-1]
    await town.put_out(lea)
    allow = (await town.estate.state("social", "m.room.server_acl"))["allow"]
    assert allow == [ours, "localhost"]
    assert await town.estate.faults("social") == []


@pytest.mark.parametrize("where", ["partner", "third"])
async def test_whom_the_register_does_not_name_is_put_out_whatever_server_they_are_on(
    town: Town, where: str
) -> None:
    sam = await town.estate.joins("sam", "social")
    server: Homeserver = getattr(town.servers, where)
    user, mallory = await town.account(server, "mallory")
    await invite(sam, town.room, user)
    await town.comes(user, mallory)
    await town.estate.look("social")
    (note,) = town.estate.notes
    assert f"{user} is in the room but not on the register (by " in note
    assert any(f"{user} is in the room but not" in said for said in town.estate.told)
    await town.put_out(mallory)
    assert await town.estate.faults("social") == []


def test_nobody_is_a_guest_whose_server_the_register_does_not_name(servers: Servers) -> None:
    written = register_of("t", servers, servers.third.server_name)
    with pytest.raises(ConfigError, match="is on no server of the partners in this register"):
        load_rooms(written, "rooms.yaml")
