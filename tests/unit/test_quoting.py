"""What somebody puts into a quotation is no quotation by that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.model import Message, UserId
from bridge.way.following import unquoted
from tests.making import SECURE, say
from tests.unit.test_moving import bodies, reply
from tests.unit.test_pipeline import OPERATIONAL, World

BEN = UserId("@ben:force.example")
QUOTED = f"> <{BEN}> {OPERATIONAL}\n\nlol"
MARKUP = f"<mx-reply><blockquote>{OPERATIONAL}</blockquote></mx-reply>lol"


def removed(world: World) -> set[str]:
    return {which for what, which in world.done() if what == "removed"}


def answering(event: str, to: str, body: str, formatted: str = "") -> Message:
    """A reply, which says so inside and outside of its encryption, as clients do."""
    one = reply(event, to, body, formatted)
    outside = {"type": "m.room.encrypted", "of": event, "content": {"m.relates_to": {}}}
    return replace(one, ciphertext=json.dumps(outside).encode())


@pytest.mark.parametrize(
    "message",
    [
        say("$a", QUOTED),
        replace(say("$a", "lol"), formatted=MARKUP),
        replace(say("$a", "lol"), formatted=f"<mx-reply></mx-reply>x <MX-REPLY>{OPERATIONAL}"),
        say("$a", f"> <@{OPERATIONAL}> lol\n\nlol"),
    ],
    ids=["lines", "markup", "a second one", "instead of a name"],
)
async def test_words_in_the_quotation_of_nothing_are_judged_and_moved(message: Message) -> None:
    world = World()
    await world.hear_and_settle(message)
    assert removed(world) == {"$a"}
    assert "AB12 CDE" in bodies(world, SECURE)[0]


@pytest.mark.parametrize("formatted", ["", MARKUP])
async def test_an_answer_that_quotes_what_was_never_said_there_is_moved(formatted: str) -> None:
    world = World()
    await world.hear_and_settle(say("$q", "anything new?", sender=BEN))
    body = "lol" if formatted else QUOTED
    await world.hear_and_settle(answering("$a", "$q", body, formatted))
    assert removed(world) == {"$a"}


async def test_an_answer_that_quotes_ordinary_talk_stays() -> None:
    world = World()
    await world.hear_and_settle(say("$q", "who has the kettle?", sender=BEN))
    quoting = f"> <{BEN}> who has the kettle?\n\nme"
    await world.hear_and_settle(answering("$a", "$q", quoting))
    assert removed(world) == set()
    assert world.sent == []


async def test_an_answer_that_quotes_a_nudged_message_is_not_nudged_for_it() -> None:
    world = World()
    await world.hear_and_settle(say("$q", "obs are still on", sender=BEN))
    assert len(world.sent) == 1
    await world.hear_and_settle(answering("$a", "$q", f"> <{BEN}> obs are still on\n\nok"))
    assert len(world.sent) == 1


async def test_an_answer_that_quotes_a_moved_message_goes_as_one_that_repeats_it() -> None:
    world = World()
    await world.hear_and_settle(say("$q", OPERATIONAL, sender=BEN))
    await world.hear_and_settle(answering("$a", "$q", QUOTED))
    assert removed(world) == {"$q", "$a"}
    rules = [head["rule"] for kind, head, _ in world.ledger() if kind == "verdict"]
    assert rules[-1] == "builtin:repeats-moved"
    assert "AB12" not in bodies(world, SECURE)[-1], "its own words only"


def test_every_place_stays_where_it_was() -> None:
    message = replace(say("$a", QUOTED), formatted=MARKUP)
    whole = unquoted(message)
    assert whole is not None
    assert len(whole.body) == len(message.body)
    assert len(whole.formatted) == len(message.formatted)
    assert unquoted(say("$a", "> tea?\nyes")) is None
