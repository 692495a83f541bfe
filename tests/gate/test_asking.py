"""The way from the homeserver's module to the bot: a socket or mutual TLS, and who answers late."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bluelamp_gate.asking import Breaker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.errors import ConfigError
from bridge.matrix.door import opened
from bridge.running.door import Door
from tests.gate.ports import free_port

#: Asks as the module does, in Twisted, which wants a process of its own.
_ASK = """
import json, sys
from twisted.internet import defer, task
from bluelamp_gate.asking import Asking
from bluelamp_gate.settings import read

async def main(reactor):
    asking = Asking(read(json.loads(sys.argv[1])))
    for what in json.loads(sys.argv[2]):
        budget_ms = 1_500 if what == "slow" else 120_000
        print(json.dumps(await asking.ask(what, {"a": 1}, budget_ms)), flush=True)
        sys.stdin.readline()

task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
"""


async def ask(settings: Mapping[str, Any], *what: str) -> list[object]:
    """What the module hears."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _ASK, json.dumps({"bot": "@b:x", **settings}), json.dumps(what)],
        capture_output=True,
        text=True,
        timeout=300,
        input="\n" * len(what),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def answer(said: Mapping[str, Any]) -> str:
    return "stop" if said == {"a": 1} else "pass"


async def slow(_: Mapping[str, Any]) -> str:
    await asyncio.sleep(3)
    return "stop"


async def broken(_: Mapping[str, Any]) -> str:
    raise ValueError("words of a message")


ANSWERS = {"check": answer, "slow": slow, "broken": broken}


async def test_over_a_socket_it_is_answered_and_otherwise_it_does_not_wait(tmp_path: Path) -> None:
    place = {"socket": str(tmp_path / "s")}
    assert await ask(place, "check") == [None], "nobody listens"
    async with opened(Door(socket=tmp_path / "s"), ANSWERS):
        assert await ask(place, "check", "slow", "broken", "no-such") == [
            {"do": "stop"}, None, None, None,
        ]  # fmt: skip
    assert not (tmp_path / "s").exists()


async def test_several_workers_of_a_homeserver_ask_at_once(tmp_path: Path) -> None:
    """Each has the module and connections of its own; the bot answers them all."""
    place = {"socket": str(tmp_path / "s")}
    async with opened(Door(socket=tmp_path / "s"), ANSWERS):
        heard = await asyncio.gather(*(ask(place, *(["check"] * 5)) for _ in range(3)))
    assert heard == [[{"do": "stop"}] * 5] * 3


async def test_a_bot_that_was_started_again_is_found_again(tmp_path: Path) -> None:
    """The connection of before is dead; the first question after it is answered all the same."""
    door = Door(socket=tmp_path / "s")
    settings = json.dumps({"bot": "@b:x", "socket": str(tmp_path / "s")})
    async with opened(door, ANSWERS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _ASK, settings, json.dumps(["check", "check"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline()) == {"do": "stop"}
    async with opened(door, ANSWERS):
        process.stdin.write(b"\n")
        assert json.loads(await process.stdout.readline()) == {"do": "stop"}
        process.stdin.write(b"\n")
        assert await process.wait() == 0


async def test_where_nobody_may_listen_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be answered here"):
        async with opened(Door(socket=tmp_path / "none" / "s"), ANSWERS):
            pass


class Papers:
    """An authority, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.authority = self.write("ca", self.sign(self.name, self.own.public_key(), ca=True))

    def sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool = False
    ) -> x509.Certificate:
        today = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .sign(self.own, hashes.SHA256())
        )

    def write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / f"{name}.crt"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def pair(self, name: str) -> tuple[Path, Path]:
        """A signed certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        path = self.folder / f"{name}.key"
        path.write_bytes(key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ))  # fmt: skip
        return self.write(name, self.sign(subject, key.public_key())), path


@contextlib.asynccontextmanager
async def listening(papers: Papers) -> AsyncIterator[int]:
    certificate, key = papers.pair("bot")
    port = free_port()
    door = Door(
        host="127.0.0.1", port=port, certificate=certificate, key=key, authority=papers.authority
    )
    async with opened(door, ANSWERS):
        yield port


async def test_over_tls_both_sides_show_who_they_are(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    certificate, key = papers.pair("gate")
    (tmp_path / "other").mkdir()
    strangers = Papers(tmp_path / "other")
    wrong, wrong_key = strangers.pair("gate")
    async with listening(papers) as port:
        settings: dict[str, Any] = {"url": f"https://localhost:{port}"}
        tls = {"certificate": str(certificate), "key": str(key)}
        good = {**tls, "authority": str(papers.authority)}
        assert await ask({**settings, "tls": good}, "check") == [{"do": "stop"}]
        misled = {**tls, "authority": str(strangers.authority)}
        assert await ask({**settings, "tls": misled}, "check") == [None], "that is not our bot"
        stranger = {"certificate": str(wrong), "key": str(wrong_key),
                    "authority": str(papers.authority)}  # fmt: skip
        assert await ask({**settings, "tls": stranger}, "check") == [None], "that is not our gate"


async def test_without_a_certificate_nobody_is_let_in(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    async with listening(papers) as port, aiohttp.ClientSession() as session:
        context = ssl.create_default_context(cafile=papers.authority)
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"https://localhost:{port}/check", json={"a": 1}, ssl=context)


def test_after_three_failures_nobody_is_asked_until_it_has_rested() -> None:
    at = [0.0]
    breaker = Breaker(3, 5.0, lambda: at[0])
    for _ in range(2):
        breaker.went(well=False)
    assert not breaker.open
    breaker.went(well=False)
    assert breaker.open
    at[0] = 5.1
    assert not breaker.open
    breaker.went(well=False)
    assert breaker.open, "one more opens it again"
    at[0] = 11.0
    breaker.went(well=True)
    breaker.went(well=False)
    assert not breaker.open, "an answer has made it whole"
