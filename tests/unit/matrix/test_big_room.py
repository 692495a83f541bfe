"""A room of 5,000 people: it is read at once, and what we say reaches who is signed in."""

from __future__ import annotations

import time
from typing import Any

import pytest
import vodozemac
from nio.api import Api as NioApi

from bridge.matrix.client import Clear
from bridge.model import UserId
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ROOM, KeyServer, joined, say

PEOPLE = 5_000
#: So many of them have a device; each costs time when it is seen, and spoken to, first.
DEVICES = 300


def sign_in(server: KeyServer, user: str) -> None:
    """Have the server hold the keys of a device of *user*, and one to begin a session with."""
    account = vodozemac.Account()
    account.generate_one_time_keys(1)
    keys: dict[str, Any] = {
        "user_id": user, "device_id": "PHONE",
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            "ed25519:PHONE": account.ed25519_key.to_base64(),
            "curve25519:PHONE": account.curve25519_key.to_base64(),
        },
    }  # fmt: skip
    ((name, key),) = account.one_time_keys.items()
    one_time: dict[str, Any] = {"key": key.to_base64()}
    for thing in (keys, one_time):
        signature = account.sign(NioApi.to_canonical_json(thing).encode()).to_base64()
        thing["signatures"] = {user: {"ed25519:PHONE": signature}}
    server.devices[user]["PHONE"] = keys
    server.one_time[user, "PHONE"] = {f"signed_curve25519:{name}": one_time}


@pytest.mark.slow
async def test_a_room_of_five_thousand_is_read_and_spoken_to(pair: Pair) -> None:
    """Anna is one of them; in a social room the bot speaks only to put a message back."""
    crowd = [UserId(f"@pc{n}:force.example") for n in range(PEOPLE - 2)]
    for user in crowd[:DEVICES]:
        sign_in(pair.world.server, user)
    begun = time.monotonic()
    for user in crowd:
        pair.bot.take_state(ROOM, joined(user))
    await pair.bot.tend_keys()
    taken_s = time.monotonic() - begun

    begun = time.monotonic()
    event = await say(pair.anna, "who brings the milk?")
    pair.world.receive(pair.bot)
    assert isinstance(pair.bot.decrypt(ROOM, event), Clear)
    read_s = time.monotonic() - begun

    begun = time.monotonic()
    back = await say(pair.bot, "PC Khan wrote: who brings the milk?")
    said_s = time.monotonic() - begun
    pair.world.receive(pair.anna)
    assert isinstance(pair.anna.decrypt(ROOM, back), Clear)
    reached = sum(len(inbox) > 0 for inbox in pair.world.server.inbox.values())
    assert reached == DEVICES, "and every one of them was sent the key"
    print(f"taken in {taken_s:.1f} s, read in {read_s:.3f} s, said in {said_s:.1f} s")
