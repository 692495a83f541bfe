"""What the module does with each answer of the bot, and with none: without a homeserver."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
from bluelamp_gate import rules
from bluelamp_gate.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Synapse's own, of its libraries
    from bluelamp_gate.gate import Gate
    from synapse.module_api.errors import SynapseError

BOT, ASHA = "@bluelamp:force.example", "@asha:force.example"
SETTINGS = Settings(bot=BOT, socket="/run/s")


class Server:
    """As much of a homeserver as the module asks about."""

    def is_mine(self, user: str) -> bool:
        return user.endswith(":force.example")

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@dataclass
class Event:
    sender: str = ASHA
    type: str = "m.room.encrypted"
    content: dict[str, Any] = field(default_factory=lambda: {"ciphertext": "secret"})
    event_id: str = "$a"

    def is_state(self) -> bool:
        return False

    def get_dict(self) -> dict[str, Any]:
        return {"type": self.type, "sender": self.sender, "content": self.content}


def state(*, refuse: bool = False, cls: str = "social") -> dict[tuple[str, str], Event]:
    gate = {"unanswered": "refuse"} if refuse else {}
    return {
        ("m.room.create", ""): Event(event_id="$create"),
        (rules.CLASS_TYPE, ""): Event(BOT, content={"class": cls, "gate": gate}),
        ("m.room.member", BOT): Event(BOT, content={"membership": "join"}),
        ("m.room.encryption", ""): Event(BOT),
    }


def gate(answer: object) -> tuple[Gate, list[str]]:
    """A module whose bot always says *answer*, and what it was asked about."""
    made = Gate(SETTINGS, Server())
    asked: list[str] = []

    async def ask(event: Event, _: object) -> object:
        asked.append(event.event_id)
        return answer

    made._ask = ask
    return made, asked


@pytest.mark.parametrize("refuse", [False, True])
async def test_what_the_bot_stops_is_replaced_and_what_it_passes_is_delivered(
    refuse: bool,
) -> None:
    stopping, _ = gate({"do": "stop"})
    allowed, instead = await stopping.check_event_allowed(Event(), state(refuse=refuse))
    assert allowed
    assert instead is not None
    assert "secret" not in str(instead)
    assert instead["content"]["m.relates_to"]["event_id"] == "$create"
    passing, _ = gate({"do": "pass"})
    assert await passing.check_event_allowed(Event(), state(refuse=refuse)) == (True, None)


@pytest.mark.parametrize("answer", [None, {"do": "unread"}])
async def test_what_the_bot_did_not_answer_or_could_not_read_is_up_to_the_class(
    answer: object,
) -> None:
    made, asked = gate(answer)
    assert await made.check_event_allowed(Event(), state()) == (True, None)
    with pytest.raises(SynapseError, match="please try again") as refused:
        await made.check_event_allowed(Event(), state(refuse=True))
    assert refused.value.code == 403
    assert asked == ["$a", "$a"]


@pytest.mark.parametrize("answer", [{}, {"do": "perhaps"}, {"do": None}, {"do": ["stop"]}])
async def test_an_answer_that_makes_no_sense_stops_nothing(answer: object) -> None:
    made, _ = gate(answer)
    assert await made.check_event_allowed(Event(), state()) == (True, None)


async def test_nobody_is_asked_about_the_bots_own_about_other_servers_or_other_rooms() -> None:
    made, asked = gate({"do": "stop"})
    for event, there in (
        (Event(sender=BOT), state()),
        (Event(sender="@eve:elsewhere.example"), state()),
        (Event(), state(cls="operational")),
        (Event(), {}),
    ):
        assert await made.check_event_allowed(event, there) == (True, None)
    assert asked == []
