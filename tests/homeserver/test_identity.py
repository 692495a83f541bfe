"""The bot's cross-signing identity: made once, kept in a safe, asked for only when it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.demo.homeserver import Homeserver
from bridge.errors import NotPermitted
from bridge.matrix.device import open_device
from bridge.matrix.identity import Account, make_seeds
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


async def test_once_the_device_is_signed_the_seeds_may_lie_in_a_safe(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    """The bot starts without them, and does not make another identity."""
    mine = account(homeserver, bot_id, tmp_path / "state")
    device = await start(mine)
    (tmp_path / "state" / "identity.json").rename(tmp_path / "safe.json")
    assert await start(mine) == device
    assert not (tmp_path / "state" / "identity.json").exists()


async def test_a_new_device_needs_the_seeds_back_and_says_so(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    mine = account(homeserver, bot_id, tmp_path / "state")
    device = await start(mine)
    (tmp_path / "state" / "identity.json").rename(tmp_path / "safe.json")
    (tmp_path / "state" / "session.json").unlink()
    shutil.rmtree(tmp_path / "state" / "crypto")
    with pytest.raises(NotPermitted, match="Put the file back from where you keep it"):
        await start(mine)
    shutil.copy(tmp_path / "safe.json", tmp_path / "state" / "identity.json")
    (tmp_path / "state" / "identity.json").chmod(0o600)
    assert await start(mine) != device


async def test_a_lost_identity_can_be_replaced_on_purpose(
    homeserver: Homeserver, bot_id: UserId, tmp_path: Path
) -> None:
    """With the password, and never by itself."""
    mine = account(homeserver, bot_id, tmp_path / "state")
    device = await start(mine)
    (tmp_path / "state" / "session.json").unlink()
    shutil.rmtree(tmp_path / "state" / "crypto")
    make_seeds(tmp_path / "state")
    assert await start(mine) != device
