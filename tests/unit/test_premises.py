"""What is known of a room that the bot was put out of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from bridge.errors import NotFound, NotPermitted, TransportError
from bridge.matrix.api import Api
from bridge.matrix.premises import MatrixPremises
from bridge.rooms.premises import Sort
from tests.unit.test_rooms_plan import BOT, HERE, HOUSE, LOCK, MALLORY, event


class Server:
    """A homeserver whose bot is in no room, and may read what *left* says."""

    url = "http://server"

    def __init__(self, left: list[dict[str, Any]] | TransportError) -> None:
        self.left = left

    async def call(self, method: str, path: str, *_: object, **__: object) -> Mapping[str, object]:
        if path.endswith("/joined_rooms"):
            return {"joined_rooms": []}
        raise NotFound(f"{method} {path}")

    async def call_list(self, method: str, path: str) -> list[dict[str, Any]]:
        if isinstance(self.left, TransportError):
            raise self.left
        return self.left


def premises(left: list[dict[str, Any]] | TransportError) -> MatrixPremises:
    return MatrixPremises(cast("Api", Server(left)), lambda: (HOUSE, LOCK))


async def test_who_put_the_bot_out_is_known() -> None:
    kicked = event("m.room.member", {"membership": "leave"}, BOT, by=MALLORY)
    look = await premises([kicked]).look("a-social")
    (fault,) = look.faults
    assert (look.id, fault.sort, fault.about, fault.by) == (HERE, Sort.ABSENT, BOT, MALLORY)
    assert look.members is None


@pytest.mark.parametrize("error", [NotFound("no"), NotPermitted("no")])
async def test_of_a_room_that_the_bot_never_was_in_nobody_is_blamed(error: TransportError) -> None:
    (fault,) = (await premises(error).look("a-social")).faults
    assert (fault.sort, fault.by) == (Sort.ABSENT, None)
