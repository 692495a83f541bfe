"""The homeserver of the demo and these tests."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import BridgeError
from bridge.matrix.api import Api, login
from tests.homeserver.conftest import PASSWORD


async def test_it_comes_back_where_it_was_with_what_it_knew(tmp_path: Path) -> None:
    said: list[str] = []
    server = Homeserver(tmp_path, progress=said.append)
    async with server:
        server.register("anna", PASSWORD, display_name="PC Anna Reid")
        first = server.url
        anna = await login(server.url, "anna", PASSWORD, device_name="test")
    assert not server.running

    async with Homeserver(tmp_path) as again, Api(again.url, anna.token) as api:
        assert again.url == first
        profile = await api.call("GET", "/_matrix/client/v3/profile/@anna:force.example")
        assert profile["displayname"] == "PC Anna Reid"
        again.register("anna", "another password")
        await login(again.url, "anna", PASSWORD, device_name="test")
    assert [line.split()[0] for line in said] == ["Starting", "The", "Stopping"]


def test_a_port_that_is_taken_is_said_in_a_sentence(homeserver: Homeserver, tmp_path: Path) -> None:
    port = int(homeserver.url.rpartition(":")[2])
    with pytest.raises(BridgeError, match=f"cannot use port {port} on 127.0.0.1"):
        Homeserver(tmp_path, port=port).start()


def test_a_directory_that_is_in_use_names_the_process_that_uses_it(homeserver: Homeserver) -> None:
    pid = (homeserver.directory / "homeserver.pid").read_text().strip()
    with pytest.raises(BridgeError, match=f"may still be running as process {pid}"):
        Homeserver(homeserver.directory).start()
    assert homeserver.running


def test_a_server_that_dies_while_starting_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    server = Homeserver(tmp_path, server_name="not a name")
    with pytest.raises(BridgeError, match="died while starting") as caught:
        server.start()
    assert str(tmp_path / "homeserver.log") in str(caught.value)
    assert "'not a name' has an invalid format" in str(caught.value)


def test_without_synapse_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(_: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(BridgeError, match=r"pip install 'bluelamp\[demo\]'"):
        Homeserver(tmp_path).start()


def test_ctrl_c_in_our_terminal_does_not_reach_it(homeserver: Homeserver) -> None:
    pid = int((homeserver.directory / "homeserver.pid").read_text())
    assert os.getsid(pid) == pid != os.getsid(0)


def test_nobody_else_may_read_its_secrets(homeserver: Homeserver) -> None:
    for name in ("homeserver.yaml", "signing.key"):
        assert (homeserver.directory / name).stat().st_mode & 0o077 == 0
