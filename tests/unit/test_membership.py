"""Whose membership changed is on record beside who changed it, and told from it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bridge.facts import Seen
from bridge.matrix import translate
from bridge.model import Kind, RoomClass, RoomId
from bridge.records.membership import Change, change_of
from tests.unit.ledger.test_ledger_facts import made

ROOM = RoomId("!social:force.example")
BOT, ANNA = "@bluelamp:force.example", "@anna:force.example"


def served(membership: str, by: str, whose: object) -> dict[str, Any]:
    return {
        "type": "m.room.member", "event_id": "$m", "sender": by, "state_key": whose,
        "origin_server_ts": 1, "content": {"membership": membership},
    }  # fmt: skip


def recorded(event: dict[str, Any]) -> dict[str, Any]:
    """What is inside the record that becomes of an event."""
    message = translate.plain(ROOM, event)
    (draft,) = made(Seen(message=message, cls=RoomClass.SOCIAL))
    return dict(msgspec.json.decode(draft.body))


def change(event: dict[str, Any]) -> Change:
    inside = recorded(event)
    return change_of(inside["sender"], inside.get("state_key", ""), inside["content"])


@pytest.mark.parametrize(
    ("membership", "by", "whose", "expected"),
    [
        ("invite", BOT, ANNA, Change(ANNA, "was invited", BOT)),
        ("leave", BOT, ANNA, Change(ANNA, "was removed", BOT)),
        ("ban", BOT, ANNA, Change(ANNA, "was banned", BOT)),
        ("join", ANNA, ANNA, Change(ANNA, "joined")),
        ("leave", ANNA, ANNA, Change(ANNA, "left")),
        ("knock", ANNA, ANNA, Change(ANNA, "asked to join")),
        ("odd", BOT, ANNA, Change(ANNA, "changed", BOT)),
    ],
)
def test_whoever_was_invited_or_removed_is_told_from_who_did_it(
    membership: str, by: str, whose: str, expected: Change
) -> None:
    assert change(served(membership, by, whose)) == expected


@pytest.mark.parametrize("membership", ["invite", "leave", "ban"])
def test_a_record_that_does_not_say_whose_it_is_names_nobody_as_that(membership: str) -> None:
    found = change_of(BOT, "", {"membership": membership})
    assert found.user == BOT
    assert "whom this older record does not name" in found.said


@pytest.mark.parametrize("content", [{}, {"membership": 5}, {"membership": ["join"]}])
def test_a_membership_that_is_none_is_a_change(content: dict[str, Any]) -> None:
    assert change_of(ANNA, ANNA, content) == Change(ANNA, "changed")
    assert change_of(ANNA, "", content) == Change(ANNA, "changed")


@pytest.mark.parametrize("odd", [5, None, ["@x:y"], {"a": 1}, "\ud800" * 5000])
def test_a_state_key_that_is_none_breaks_nothing(odd: object) -> None:
    inside = recorded(served("invite", BOT, odd))
    assert isinstance(inside.get("state_key", ""), str)
    assert len(inside.get("state_key", "")) < 5000


def test_only_states_are_about_somebody() -> None:
    event = {**served("join", ANNA, ANNA), "type": "m.room.message", "content": {"body": "milk"}}
    assert translate.plain(ROOM, event).kind is Kind.STATE
    del event["state_key"]
    assert "state_key" not in recorded(event)
    topic = {**served("join", BOT, ""), "type": "m.room.topic", "content": {"topic": "milk"}}
    assert "state_key" not in recorded(topic)
