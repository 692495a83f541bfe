"""What the server holds for us by itself, and what homeserver.yaml may say of the module."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from bluelamp_gate import rules
from bluelamp_gate.settings import Settings, read

BOT, ASHA = "@bluelamp:force.example", "@asha:force.example"
SETTINGS = Settings(bot=BOT, socket="/run/s", partners=frozenset({"partner.example"}))


@dataclass(frozen=True)
class Event:
    sender: str
    content: dict[str, Any] = field(default_factory=dict)


JOINED = Event(BOT, {"membership": "join"})
ROOM = {
    (rules.CLASS_TYPE, ""): Event(BOT, {"class": "social"}),
    ("m.room.member", BOT): JOINED,
    ("m.room.encryption", ""): Event(BOT),
}


def refused(kind: str, sender: str = ASHA, *, is_state: bool = False, **room: Any) -> bool:
    state = {**ROOM, **room.get("state", {})}
    settings = room.get("settings", SETTINGS)
    why = rules.refused(kind, sender, is_state=is_state, state=state, settings=settings)
    return why is not None


def test_only_the_bot_says_which_rooms_are_managed() -> None:
    assert rules.managed(ROOM, SETTINGS) == rules.Managed("social", 300, refuse_unanswered=False)
    assert rules.managed({}, SETTINGS) is None
    forged = {(rules.CLASS_TYPE, ""): Event(ASHA, {"class": "operational"})}
    assert rules.managed(forged, SETTINGS) is None


@pytest.mark.parametrize("odd", [None, 3, [], {}, ["social"]])
def test_an_odd_class_is_none(odd: object) -> None:
    assert rules.managed({(rules.CLASS_TYPE, ""): Event(BOT, {"class": odd})}, SETTINGS) is None


@pytest.mark.parametrize(
    ("gate", "budget", "refuses"),
    [
        ({"budget_ms": 900, "unanswered": "refuse"}, 900, True),
        ({"budget_ms": 0}, 300, False),
        ({"budget_ms": True}, 300, False),
        ({"budget_ms": 10**9}, 300, False),
        ({"budget_ms": "900", "unanswered": ["refuse"]}, 300, False),
        ("odd", 300, False),
    ],
)
def test_the_budget_is_the_classs_where_it_makes_sense(
    gate: object, budget: int, refuses: bool
) -> None:
    state = {(rules.CLASS_TYPE, ""): Event(BOT, {"class": "social", "gate": gate})}
    assert rules.managed(state, SETTINGS) == rules.Managed("social", budget, refuses)


def test_nothing_is_said_before_the_bot_is_there() -> None:
    away = {("m.room.member", BOT): Event(BOT, {"membership": "invite"})}
    assert refused("m.room.encrypted", state=away)
    assert not refused("m.room.redaction", state=away)
    assert not refused("m.room.encrypted")
    off = replace(SETTINGS, wait_for_bot=False)
    assert not refused("m.room.encrypted", state=away, settings=off)


def test_nothing_unencrypted_is_said_in_an_encrypted_room() -> None:
    assert refused("m.room.message")
    assert not refused("m.room.message", BOT)
    assert not refused("m.reaction"), "reactions always travel in the clear"
    assert not refused("m.room.message", settings=replace(SETTINGS, no_plaintext=False))


@pytest.mark.parametrize("kind", sorted(rules.GUARDED))
def test_nobody_but_the_bot_loosens_a_room(kind: str) -> None:
    assert refused(kind, is_state=True)
    assert not refused(kind, BOT, is_state=True)
    assert not refused(kind, is_state=True, settings=replace(SETTINGS, guard_state=False))


def test_members_may_still_come_go_and_be_called_something() -> None:
    assert not refused("m.room.member", is_state=True)
    assert not refused("m.room.avatar", is_state=True)


@pytest.mark.parametrize(
    ("kind", "sender", "cls", "asked"),
    [
        ("m.room.encrypted", ASHA, "social", True),
        ("m.room.encrypted", ASHA, "community", True),
        ("m.reaction", ASHA, "social", True),
        ("m.room.encrypted", BOT, "social", False),
        ("m.room.encrypted", ASHA, "operational", False),
        ("m.room.redaction", ASHA, "social", False),
    ],
)
def test_the_bot_is_asked_about_what_people_say_in_rooms_that_are_judged(
    kind: str, sender: str, cls: str, asked: bool
) -> None:
    assert rules.is_asked_about(kind, sender, cls, SETTINGS) is asked
    off = replace(SETTINGS, stop_messages=False)
    assert not rules.is_asked_about(kind, sender, cls, off)


def test_what_is_delivered_instead_has_nothing_of_the_message() -> None:
    event = {"type": "m.room.encrypted", "sender": ASHA, "content": {"ciphertext": "secret"}}
    delivered = rules.instead(event, "$create")
    assert "secret" not in str(delivered)
    assert delivered["type"] == event["type"], "Synapse does not let it change"
    assert delivered["sender"] == ASHA
    assert event["content"] == {"ciphertext": "secret"}


def test_only_our_own_and_partners_people_may_be_asked_in() -> None:
    assert rules.may_invite(ASHA, "force.example", SETTINGS)
    assert rules.may_invite("@x:partner.example", "force.example", SETTINGS)
    assert not rules.may_invite("@x:elsewhere.example", "force.example", SETTINGS)
    assert not rules.may_invite("@x", "force.example", SETTINGS)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (None, "needs at least"),
        ({"socket": "/s"}, "'bot' must be text"),
        ({"bot": "bluelamp", "socket": "/s"}, "must be a Matrix id"),
        ({"bot": BOT}, "either 'socket' or 'url'"),
        ({"bot": BOT, "socket": "/s", "url": "https://x"}, "either 'socket' or 'url'"),
        ({"bot": BOT, "url": "http://x"}, "must be https"),
        ({"bot": BOT, "url": "https://x"}, "needs 'tls'"),
        ({"bot": BOT, "url": "https://x", "tls": {"key": "k"}}, "must have exactly"),
        ({"bot": BOT, "socket": "/s", "colour": 1}, "unknown key 'colour'"),
        ({"bot": BOT, "socket": "/s", "budget_ms": "300"}, "'budget_ms' must be"),
        ({"bot": BOT, "socket": "/s", "budget_ms": 60_000}, "from 1 to 5000"),
        ({"bot": BOT, "socket": "/s", "guard_state": "no"}, "must be true or false"),
        ({"bot": BOT, "socket": "/s", "partners": "x"}, "must be a list"),
    ],
)
def test_a_mistake_in_the_configuration_is_said(config: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read(config)


def test_a_good_configuration_is_read() -> None:
    read_back = read({"bot": BOT, "socket": "/s", "rooms_by_template": True, "budget_ms": 200})
    assert read_back.rooms_by_template
    assert read_back.budget_ms == 200
    assert read_back.stop_messages
