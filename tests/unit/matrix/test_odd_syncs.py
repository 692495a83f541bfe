"""Syncs that once stopped the intake for good, and the restart after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.errors import NotPermitted
from bridge.matrix.api import Api, quote
from bridge.matrix.nested import read_json
from bridge.matrix.transport import MatrixTransport
from bridge.model import Batch, Cursor, Kind
from tests.unit.matrix.conftest import Pair
from tests.unit.matrix.world import ANNA, MEGOLM_, ROOM, event, say


@pytest.fixture
async def transport(pair: Pair) -> AsyncIterator[MatrixTransport]:
    made = MatrixTransport(pair.bot, Api("http://127.0.0.1:9"), approved=lambda _: False)
    yield made
    await made.api.close()


def sync(*events: Any, mail: Any = ()) -> dict[str, Any]:
    room = {"timeline": {"events": list(events)}}
    return {
        "next_batch": "s1", "to_device": {"events": list(mail)}, "rooms": {"join": {ROOM: room}}
    }  # fmt: skip


def words(batch: Batch) -> list[str]:
    return [message.body for message in batch.messages if message.kind is Kind.TEXT]


@pytest.mark.parametrize("odd", [
    {"session_id": []}, {"session_id": {"a": 1}}, {"session_id": 5}, {"ciphertext": "x"},
    [1], "text", True, 5,
])  # fmt: skip
async def test_an_encrypted_event_that_names_no_session_does_not_stop_later_syncs(
    pair: Pair, transport: MatrixTransport, odd: Any
) -> None:
    """It waits for a key that will never come, beside one whose key does."""
    late = await say(pair.anna, "its key comes later")
    mail = pair.world.server.mail("@bot:force.example", "BOT")
    content = {"algorithm": MEGOLM_, **odd} if isinstance(odd, dict) else odd
    bad = {**event(ANNA, {}), "content": content}
    first = await transport._take(sync(bad, late), None)
    assert [message.kind for message in first.messages] == [Kind.UNREADABLE] * 2
    second = await transport._take(sync(mail=mail), Cursor("s1"))
    assert words(second) == ["its key comes later"]

    again = MatrixTransport(pair.bot, Api("http://127.0.0.1:9"), approved=lambda _: False)
    again._waiting = {message.event_id: message for message in first.messages}
    assert [message.body for message in again._retry(None)] == ["its key comes later"]
    assert words(await again._take(sync(mail=mail), None)) == []
    await again.api.close()


@pytest.mark.parametrize("where", [
    ("to_device",), ("to_device", "events"), ("rooms", "leave"), ("rooms", "invite"),
    ("rooms", "invite", "!new"), ("rooms", "leave", "!left"), ("rooms", "join", "!other"),
    ("device_lists",), ("device_one_time_keys_count",), ("rooms", "join", "!other", "state"),
    ("rooms", "join", "!other", "timeline"), ("rooms", "join", "!other", "timeline", "events"),
])  # fmt: skip
async def test_a_part_of_another_shape_costs_nothing_beside_it(
    pair: Pair, transport: MatrixTransport, where: tuple[str, ...]
) -> None:
    for odd in (5, [], "x", None, True, [1], {"a": 1}):
        said = {**event(ANNA, {"body": "beside"}), "type": "m.room.message"}
        answer = sync(said)
        within = answer
        for step in where[:-1]:
            within = within.setdefault(step, {})
        within[where[-1]] = odd
        assert words(await transport._take(answer, None)) == ["beside"]


async def test_a_room_whose_id_no_database_holds_costs_nothing_beside_it(
    pair: Pair, transport: MatrixTransport
) -> None:
    transport._approved = lambda _: True
    said = {**event(ANNA, {"body": "beside"}), "type": "m.room.message"}
    answer = sync(said)
    for part in ("join", "leave", "invite"):
        answer["rooms"].setdefault(part, {})["!\ud800"] = {"timeline": {"events": [said]}}
    batch = await transport._take(answer, None)
    assert [message.room for message in batch.messages] == [ROOM]


def test_any_text_at_all_can_be_a_part_of_a_path() -> None:
    assert quote("!a/\ud800:b") == "%21a%2F%3F%3Ab"


async def test_an_event_nested_as_deep_as_can_be_costs_nothing_beside_it(
    pair: Pair, transport: MatrixTransport
) -> None:
    deep = '{"body": "still read", "odd": %s%s}' % ("[" * 20_000, "]" * 20_000)  # noqa: UP031
    bad = '{"type": "m.room.message", "event_id": "$deep", "sender": "@a:b", "content": %s}' % deep  # noqa: UP031
    raw = (
        '{"next_batch": "s1", "rooms": {"join": {"%s": {"timeline": {"events": [%s, '  # noqa: UP031
        '{"type": "m.room.message", "event_id": "$b", "sender": "@a:b", '
        '"content": {"body": "beside"}}]}}}}}' % (ROOM, bad)
    )
    assert words(await transport._take(read_json(raw), None)) == ["still read", "beside"]


async def test_encrypted_words_nested_or_counted_too_deep_are_still_read(
    pair: Pair, transport: MatrixTransport
) -> None:
    """Other people's clients show them: what we could not read would go by unjudged."""
    await say(pair.anna, "first")
    session = pair.anna.olm.outbound_group_sessions[ROOM]
    said = []
    for odd in (
        "[" * 5_000 + "]" * 5_000,
        "9" * 6_000,
        "1e999",
        '{"a":' * 2_000 + "1" + "}" * 2_000,
    ):
        plain = (
            '{"type": "m.room.message", "room_id": "%s", "content": '  # noqa: UP031
            '{"body": "AB12 CDE", "odd": %s}}' % (ROOM, odd)
        )
        sealed = session._session.encrypt(plain.encode()).to_base64()
        content = {"algorithm": MEGOLM_, "session_id": session.id, "ciphertext": sealed}
        said.append(event(ANNA, content))
    mail = pair.world.server.mail("@bot:force.example", "BOT")
    batch = await transport._take(sync(*said, mail=mail), None)
    assert words(batch) == ["AB12 CDE"] * 4


class Closed(Api):
    """A homeserver whose pages of a room's past are of any shape."""

    page: Any = None

    async def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.page is None:
            raise NotPermitted("no")
        return {"chunk": self.page, "end": self.page}


@pytest.mark.parametrize("page", [5, "x", [], {}, [5, None], None])
async def test_a_gap_whose_pages_are_odd_ends(pair: Pair, page: Any) -> None:
    transport = MatrixTransport(pair.bot, Closed("http://x"), approved=lambda _: False)
    transport.api.page = page  # type: ignore[attr-defined]
    said = {**event(ANNA, {"body": "after the gap"}), "type": "m.room.message"}
    answer = sync(said)
    answer["rooms"]["join"][ROOM]["timeline"] |= {"limited": True, "prev_batch": 5}
    async with asyncio.timeout(60):
        batch = await transport._take(answer, Cursor("s0"))
    assert words(batch) == ["after the gap"]
