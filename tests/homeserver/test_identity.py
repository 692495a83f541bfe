"""The bot's cross-signing identity: made once, kept in a safe, asked for only when it is needed."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import ConfigError, NotPermitted
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account
from bridge.matrix.seeds import USES, Vault
from bridge.model import UserId
from bridge.secret import write_secret
from tests.homeserver.conftest import PASSWORD


def account(homeserver: Homeserver, bot: UserId, state: Path) -> Account:
    homeserver.register(bot[1:].split(":")[0], PASSWORD)
    write_secret(state / "password", PASSWORD)
    return Account(
        url=homeserver.url, user=bot, state=state, token_file=None,
        password_file=state / "password",
    )  # fmt: skip


async def start(account: Account) -> str:
    transport = await open_device(account, approved=lambda _: True)
    await transport.close()
    return str(transport.client.device_id)


def vault_of(account: Account) -> Vault:
    return Vault.of(account.state, account.identity_passphrase)


def put_away(vault: Vault, safe: Path) -> None:
    safe.mkdir()
    vault.path.rename(safe / "vault")
    vault.passphrase.rename(safe / "passphrase")


def forget_the_device(account: Account) -> None:
    (account.state / "session.json").unlink()
    shutil.rmtree(account.state / "crypto")


async def test_once_the_device_is_signed_vault_and_passphrase_may_lie_in_safes(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    """The bot starts without them, and makes neither another identity nor a passphrase."""
    mine = account(homeserver, bot_id, tmp_path / "state")
    device = await start(mine)
    put_away(vault_of(mine), tmp_path / "safe")
    assert await start(mine) == device
    assert not vault_of(mine).path.exists()
    assert not vault_of(mine).passphrase.exists()


async def test_the_vault_without_its_passphrase_is_enough_to_start_but_not_to_sign(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    mine = account(homeserver, bot_id, tmp_path / "state")
    device = await start(mine)
    passphrase = vault_of(mine).passphrase.read_text(encoding="utf-8")
    vault_of(mine).passphrase.unlink()
    assert await start(mine) == device
    forget_the_device(mine)
    with pytest.raises(ConfigError, match="Put it back from where you keep it"):
        await start(mine)
    write_secret(vault_of(mine).passphrase, passphrase)
    assert await start(mine) != device


async def test_a_new_device_needs_the_vault_back_and_says_so(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    mine = account(homeserver, bot_id, tmp_path / "state")
    device, master = await start(mine), vault_of(mine).master()
    put_away(vault_of(mine), tmp_path / "safe")
    forget_the_device(mine)
    with pytest.raises(NotPermitted, match="back from where you keep them"):
        await start(mine)
    (tmp_path / "safe" / "vault").rename(vault_of(mine).path)
    (tmp_path / "safe" / "passphrase").rename(vault_of(mine).passphrase)
    assert await start(mine) != device
    assert vault_of(mine).master() == master


async def test_an_identity_in_the_clear_is_locked_up_once_and_stays_the_same(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    mine = account(homeserver, bot_id, tmp_path / "state")
    device, vault = await start(mine), vault_of(mine)
    seeds, master = vault.open(), vault.master()
    plain = mine.state / "identity.json"
    old = {use: base64.b64encode(seeds[use]).decode() for use in USES}
    write_secret(plain, json.dumps(old))
    vault.path.unlink()
    vault.passphrase.unlink()
    assert await start(mine) == device
    assert not plain.exists()
    assert (vault.open(), vault.master()) == (seeds, master)
    forget_the_device(mine)
    assert await start(mine) != device


async def test_a_lost_identity_can_be_replaced_on_purpose(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    """With the password, and never by itself."""
    mine = account(homeserver, bot_id, tmp_path / "state")
    device, master = await start(mine), vault_of(mine).master()
    forget_the_device(mine)
    vault_of(mine).make()
    assert await start(mine) != device
    assert vault_of(mine).master() != master
