"""Closing a removal, told as stories without a homeserver: whole, once, honest about the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.acting import removal
from bridge.errors import NotPermitted, TransportError
from bridge.facts import Braked
from bridge.matrix.memory import Fault
from bridge.model import Action, EventId, Fate, Kind, Media, Message, UserId, Verdict
from tests.making import ASHA, REVIEW, SECURE, SOCIAL, say
from tests.unit.test_pipeline import OPERATIONAL, World

BEN = UserId("@ben:force.example")
URL = "mxc://force.example/photo"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody settles meanwhile, so that waiting for them is vain."""
    monkeypatch.setattr(removal, "_WAIT_S", -1.0)  # also where a clock stands still
    monkeypatch.setattr(removal, "_LOOK_S", 0.0)


def related(event: str, relation: dict[str, Any], body: str = "", kind: str = "") -> Message:
    content = {"msgtype": "m.text", "body": body, "m.relates_to": relation}
    ours = Kind.TEXT if body else Kind.OTHER
    made = say(event, body, sender=BEN, kind=ours)
    return _with(made, content=json.dumps(content).encode(), type=kind or made.type)


def _with(message: Message, **parts: Any) -> Message:
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    return Message(**{**fields, **parts})


def reaction(event: str, to: str, key: str) -> Message:
    relation = {"rel_type": "m.annotation", "event_id": to, "key": key}
    return related(event, relation, kind="m.reaction")


def quoting(event: str, to: str, quoted: str = OPERATIONAL, own: str = "see you there") -> Message:
    return related(event, {"m.in_reply_to": {"event_id": to}}, f"> <@asha:x> {quoted}\n\n{own}")


def photo(event: str, body: str = OPERATIONAL, url: str = URL) -> Message:
    return _with(say(event, body, kind=Kind.MEDIA), media=(Media(part="file", url=url),))


async def settle(world: World, times: int = 3) -> None:
    for _ in range(times):
        await world.settler.settle_once()
        world.clock.move(61_000)


def closed(world: World) -> list[tuple[str, list[dict[str, Any]]]]:
    """(status, certificate) of every attempt."""
    return [
        (str(header["status"]), inside.get("certificate", []))  # type: ignore[misc]
        for kind, header, inside in world.ledger()
        if kind == "outcome" and header["effect"] == "close"
    ]


def lines(world: World, what: str) -> list[tuple[str, str]]:
    status, steps = closed(world)[-1]
    assert status == "done", (status, steps)
    return [(one["fate"], one["target"]) for one in steps if one["what"] == what]


def removed(world: World) -> list[str]:
    return [one.removed for one in world.sent if one.removed is not None]


def only(what: str, error: TransportError, times: int = 1) -> Fault:
    left = [times]

    def fault(name: str) -> tuple[bool, TransportError | None]:
        if name == what and left[0]:
            left[0] -= 1
            return False, error
        return True, None

    return fault


async def test_a_message_alone_is_certified_with_what_no_removal_reaches() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert lines(world, "message") == [("removed", "$a")]
    for what in ("edit", "reaction", "reply", "thread", "poll", "pin", "file", "thumbnail"):
        assert lines(world, what) == [("not applicable", "")], what
    assert lines(world, "server's copy") == lines(world, "clients") == [("partial", "")]
    assert REVIEW not in {one.room for one in world.sent}, "nobody is asked about what is always so"
    assert "Acacia" not in str(closed(world))


async def test_text_reactions_go_and_pictures_and_other_rooms_stay() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    elsewhere = _with(reaction("$e", "$a", "by the church"), room=SECURE)
    await world.hear(reaction("$r", "$a", "by the church"), reaction("$s", "$a", "👍"), elsewhere)
    await world.settler.settle_once()
    assert lines(world, "reaction") == [("removed", "$r")]
    assert removed(world) == ["$a", "$r"]


async def test_a_quoting_reply_goes_to_the_secure_room_and_its_author_is_told() -> None:
    world = World()
    await world.hear(say("$b", "hello", sender=BEN), say("$a", OPERATIONAL))
    await world.hear(quoting("$q", "$a"))
    await settle(world)
    assert set(removed(world)) == {"$a", "$q"}
    known = await world.store.known([EventId("$q")])
    assert known[EventId("$q")].action is Action.REDIRECT
    assert known[EventId("$q")].rule == "builtin:repeats-moved"
    posts = [one for one in world.sent if one.post is not None]
    told = [one.post.body for one in posts if one.post and one.room == f"!direct-{BEN}"]
    assert len(told) == 1
    assert "it repeats a message that was moved" in told[0]
    copies = [one.post.body for one in posts if one.post and one.room == SECURE]
    assert any("see you there" in body for body in copies)


async def test_a_reply_that_came_before_its_message_was_marked_goes_by_a_verdict_of_its_own() -> (
    None
):
    """Only the closure finds it: when it came, what it quotes was nobody's concern."""
    world = World()
    words = "he is by the old chapel again with the dog"
    await world.hear(say("$a", words), quoting("$q", "$a", words))
    known = await world.store.known([EventId("$a")])
    marked = _with(say("$a", words), sender=known[EventId("$a")].sender)
    await world.pipeline.decide(marked, _verdict())
    await settle(world)
    assert set(removed(world)) == {"$a", "$q"}
    assert lines(world, "reply") == [("removed", "$q")]
    attempts = [status for status, _ in closed(world)]
    assert attempts[0] == "failed", "it waited for the reply"
    assert attempts[-1] == "done"


def _verdict() -> Verdict:
    return Verdict(action=Action.REDIRECT, rule="member.supervisor", reason="marked", revision="r")


async def test_nothing_is_taken_out_before_it_is_on_record() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    unheard = reaction("$r", "$a", "by the church")
    world.transport.say(unheard)
    await world.settler.settle_once()
    assert "$r" not in removed(world)
    assert closed(world)[-1][0] == "failed"
    await world.pipeline.handle(world.transport._batches[-1])
    await settle(world)
    assert lines(world, "reaction") == [("removed", "$r")]


async def test_what_never_comes_on_record_is_left_to_a_person() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    world.transport.say(reaction("$r", "$a", "by the church"))
    await settle(world, removal.PATIENCE + 3)
    assert lines(world, "reaction") == [("partial", "$r")]
    (asked,) = [one.post.body for one in world.sent if one.room == REVIEW and one.post]
    assert "reaction: it is not on record, and was left" in asked


@pytest.mark.parametrize("what", ["later", "standing", "redact", "unpin", "reach", "drop_file"])
async def test_a_failure_in_the_middle_is_tried_again_until_all_is_done(what: str) -> None:
    world = World()
    world.transport.files[URL] = b"sealed"
    world.remains.pinned[SOCIAL] = [EventId("$x"), EventId("$a")]
    await world.hear(photo("$a"), *(reaction(f"$r{n}", "$a", f"by {n}") for n in range(3)))
    await world.settler._begin()
    world.transport.fault = only(what, TransportError("cut off"), 2)
    await settle(world, 6)
    assert sorted(removed(world)) == ["$a", "$r0", "$r1", "$r2"]
    assert sorted(lines(world, "reaction")) == [("removed", f"$r{n}") for n in range(3)]
    assert lines(world, "file") == [("removed", URL)]
    assert world.remains.pinned[SOCIAL] == ["$x"]
    assert lines(world, "pin")[0][0] == "removed"


async def test_an_answer_that_is_lost_takes_out_once_and_is_certified() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL), reaction("$r", "$a", "by the church"))
    calls = []

    def cut(name: str) -> tuple[bool, TransportError | None]:
        calls.append(name)
        lost = name == "redact" and calls.count("redact") == 2
        return True, TransportError("cut off") if lost else None

    world.transport.fault = cut
    await settle(world)
    assert removed(world) == ["$a", "$r"]
    assert lines(world, "reaction") == [("removed", "$r")]
    assert [status for status, _ in closed(world)] == ["failed", "done"]


async def test_what_we_may_not_take_out_is_certified_as_failed_and_a_person_asked() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL), reaction("$r", "$a", "by the church"))

    def forbid(name: str) -> tuple[bool, TransportError | None]:
        forbidden = name == "redact" and "$a" in removed(world)
        return not forbidden, NotPermitted("no power to redact") if forbidden else None

    world.transport.fault = forbid
    await settle(world)
    status, steps = closed(world)[-1]
    assert status == "refused"
    assert {"what": "reaction", "fate": "failed", "target": "$r",
            "detail": "no power to redact"} in steps  # fmt: skip
    assert any("no power to redact" in one.post.body for one in world.sent
               if one.room == REVIEW and one.post)  # fmt: skip


async def test_under_the_brake_nothing_more_is_taken_out_until_it_is_off() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL), reaction("$r", "$a", "by the church"))
    await world.settler._begin()
    for task in list(world.settler._busy.values()):
        await task
    await world.store.append([Braked(room=SOCIAL, on=True, by="gwen", reason="drill")])
    await settle(world)
    assert removed(world) == ["$a"]
    await world.store.append([Braked(room=SOCIAL, on=False, by="gwen", reason="over")])
    await settle(world)
    assert removed(world) == ["$a", "$r"]


async def test_a_rehearsal_takes_nothing_out() -> None:
    world = World(rehearse=True)
    await world.hear_and_settle(say("$a", OPERATIONAL), reaction("$r", "$a", "by the church"))
    assert world.sent == []
    assert [status for status, _ in closed(world)] == ["rehearsed"]


async def test_a_thousand_text_reactions_take_several_attempts_and_are_counted() -> None:
    world = World()
    many = [reaction(f"$r{n}", "$a", f"no {n}") for n in range(1_100)]
    await world.hear(say("$a", OPERATIONAL), *many)
    await settle(world, 5)
    assert len(removed(world)) == 1_101
    assert len(set(removed(world))) == 1_101
    assert [status for status, _ in closed(world)] == ["failed", "failed", "done"]
    reactions = [one for one in closed(world)[-1][1] if one["what"] == "reaction"]
    assert len(reactions) == 51
    assert reactions[-1]["detail"] == "and 1050 more like this"


async def test_a_file_goes_only_when_it_is_on_record_and_copied() -> None:
    world = World()
    world.transport.files[URL] = b"sealed"
    await world.hear(photo("$a"))
    await settle(world)
    assert URL not in world.transport.files
    assert lines(world, "file") == [("removed", URL)]
    kept = [kind for kind, _, _ in world.ledger()]
    assert kept.count("media") == 1


async def test_a_file_that_is_not_on_record_is_left() -> None:
    world = World()
    await world.hear(photo("$a"))  # the server has no such file to keep
    await settle(world)
    world.transport.files[URL] = b"back again"
    assert lines(world, "file") == [("partial", URL)]
    assert URL in world.transport.files


async def test_a_file_that_another_message_uses_is_left_until_that_has_gone() -> None:
    world = World()
    world.transport.files[URL] = b"sealed"
    await world.hear(photo("$other", "nice sunset"), photo("$a"))
    await settle(world)
    assert lines(world, "file") == [("partial", URL)]
    assert URL in world.transport.files
    await world.hear(photo("$b", OPERATIONAL), _edit("$e", "$other"))
    await settle(world)
    assert "$other" in removed(world)
    assert URL not in world.transport.files


async def test_a_file_that_somebody_else_has_uploaded_is_left_and_a_person_is_asked() -> None:
    """Whoever names a colleague's picture in a message must not have it deleted by that."""
    world = World()
    world.transport.files[URL] = b"sealed"
    world.remains.uploaded[URL] = UserId("@ben:force.example")
    await world.hear(photo("$a"))
    await settle(world)
    assert URL in world.transport.files
    assert lines(world, "file") == [("partial", URL)]
    (asked,) = [one for one in world.sent if one.room == REVIEW]
    assert asked.post is not None
    assert "Somebody else has uploaded the file: it was left" in asked.post.body


def _edit(event: str, of: str) -> Message:
    return say(event, OPERATIONAL, replaces=of)


@pytest.mark.parametrize(("plain", "asked"), [(False, 0), (True, 1)])
async def test_without_the_right_to_delete_files_a_person_hears_of_those_that_can_be_read(
    plain: bool, asked: int
) -> None:
    world = World()
    world.remains.admin = False
    if plain:
        world.remains.plain.add(SOCIAL)
    world.transport.files[URL] = b"sealed"
    await world.hear(photo("$a"))
    await settle(world)
    assert lines(world, "file") == [("partial", URL)]
    assert URL in world.transport.files
    assert len([one for one in world.sent if one.room == REVIEW]) == asked


async def test_a_room_with_more_than_can_be_read_is_certified_as_such() -> None:
    world = World()
    world.remains.most = 2
    await world.hear(say("$a", OPERATIONAL), *(say(f"$m{n}", "milk?") for n in range(3)))
    await settle(world)
    assert lines(world, "rest of the room") == [("partial", "")]


async def test_an_event_that_the_server_has_no_more_is_not_applicable() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    del world.transport._events[EventId("$a")]
    world.transport.fault = only("redact", TransportError("x"), 0)
    await settle(world)
    assert lines(world, "message") == [("not applicable", "$a")]


async def test_other_servers_are_named() -> None:
    world = World()
    world.remains.servers[SOCIAL] = ("fire.example",)
    await world.hear_and_settle(say("$a", OPERATIONAL))
    steps = closed(world)[-1][1]
    (line,) = [one for one in steps if one["what"] == "other servers"]
    assert (line["fate"], "fire.example" in line["detail"]) == (Fate.PARTIAL, True)


async def test_a_reply_to_what_was_moved_long_ago_follows_it_but_not_one_to_such_a_reply() -> None:
    world = World()
    await world.hear(say("$a", OPERATIONAL))
    await settle(world)
    await world.hear(quoting("$q", "$a"))
    await world.hear(quoting("$p", "$q", "see you there", "me too"), say("$c", "milk?"))
    await settle(world)
    assert set(removed(world)) == {"$a", "$q"}
    assert ASHA not in {s.sender for s in world.transport.heard() if s.event_id in {"$q"}}
