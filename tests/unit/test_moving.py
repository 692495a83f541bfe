"""What a moved message looks like, where it goes, and what goes along with it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.acting.moving import (
    COPY_FIELD,
    MOST_BYTES,
    Frame,
    Parent,
    answered,
    clean,
    posts,
    weight,
)
from bridge.errors import TooLarge
from bridge.matrix.memory import no_fault
from bridge.matrix.posts import content
from bridge.model import EventId, Kind, Media, Message, Ms, RoomClass, RoomId, UserId
from bridge.model import Room as Approved
from bridge.ports import Post
from tests.making import ASHA, SECURE, SOCIAL, say
from tests.unit.test_pipeline import OPERATIONAL, World, failing

FRAME = Frame(intro="PC Asha Khan wrote:", intro_html="<b>PC Asha Khan</b> wrote:", outro="Moved.")
INTAKE = RoomId("!intake")
SERGEANT = UserId("@sam:force.example")


def reply(event: str, to: str, body: str, formatted: str = "") -> Message:
    relation = {"m.in_reply_to": {"event_id": to}}
    said = json.dumps({"body": body, "m.relates_to": relation}).encode()
    return replace(say(event, body), content=said, formatted=formatted)


def bodies(world: World, room: RoomId) -> list[str]:
    return [sent.post.body for sent in world.sent if sent.post and sent.room == room]


# What it looks like


def test_its_form_comes_along_and_nothing_that_clients_would_not_show() -> None:
    html = (
        '<mx-reply><blockquote>old</blockquote></mx-reply><b onclick="x()">Plate</b>'
        '<script>x</script><img src="mxc://a/b"><a href="javascript:x">AB12 CDE</a>'
        '<a href="https://force.example">map</a>'
    )
    assert clean(html) == '<b>Plate</b><a>AB12 CDE</a><a href="https://force.example">map</a>'
    message = replace(say("$a", "Plate AB12 CDE"), formatted="<b>Plate</b> AB12 CDE")
    (post,) = posts(message, FRAME, None)
    assert "<blockquote><b>Plate</b> AB12 CDE</blockquote>" in post.formatted


def test_what_its_html_says_differently_is_shown_too() -> None:
    message = replace(say("$a", "who has the milk"), formatted="<b>AB12 CDE</b> left")
    (post,) = posts(message, FRAME, None)
    for shown in (post.body, post.formatted):
        assert "who has the milk" in shown
        assert "AB12 CDE left" in shown


def test_the_words_of_a_copy_can_be_cut_out_again() -> None:
    message = replace(say("$a", "Plate & AB12 CDE"), formatted="<b>Plate</b> &amp; AB12 CDE")
    (post,) = posts(message, FRAME, Parent(name="PC Ben", words="who is out?"))
    where = post.extra[COPY_FIELD]
    assert post.body[where["head"] : -where["tail"]] == "Plate & AB12 CDE"
    before, after = where["html"]
    assert post.formatted[before:-after] == "<b>Plate</b> &amp; AB12 CDE"


@given(st.text(max_size=200), st.text(max_size=100), st.integers(0, 60_000))
def test_any_message_fits_into_events_and_nothing_of_it_is_lost(
    words: str, html: str, times: int
) -> None:
    words = (words * (1 + times // (len(words) or 1)))[:60_000]
    message = replace(say("$a", words), formatted=html)
    made = posts(message, FRAME, None)
    assert all(weight(post) <= MOST_BYTES + 2000 for post in made)
    kept = []
    for post in made:
        where = post.extra[COPY_FIELD]
        kept.append(post.body[where["head"] : len(post.body) - where["tail"]])
    whole = "".join(kept)
    assert whole.startswith(words.encode("utf-8", "replace").decode())


def test_a_long_message_becomes_several_that_name_their_place() -> None:
    made = posts(say("$a", "\N{POLICE CAR}" * 15_000), FRAME, None)
    assert len(made) > 1
    assert [post.extra[COPY_FIELD]["part"] for post in made] == list(range(1, len(made) + 1))
    assert made[0].sounds
    assert not made[1].sounds
    assert "formatted_body" not in content(made[1])


@pytest.mark.parametrize(
    "odd", ['{"m.relates_to": 3}', "[]", '{"m.relates_to": {"m.in_reply_to": "$a"}}', "{", "\xff"]
)
def test_an_odd_relation_answers_nothing(odd: str) -> None:
    assert answered(replace(say("$a", "x"), content=odd.encode("latin-1"))) is None


# Where it goes


async def test_a_reply_comes_with_what_it_answered() -> None:
    world = World()
    await world.hear_and_settle(say("$q", "who saw the <van> go?", sender=UserId("@ben:x")))
    await world.hear_and_settle(reply("$a", "$q", OPERATIONAL))
    (copy,) = bodies(world, SECURE)
    assert "In reply to @ben:x, who wrote: who saw the <van> go?\n" in copy
    formatted = next(s.post.formatted for s in world.sent if s.post and s.room == SECURE)
    assert "&lt;van&gt;" in formatted


async def test_a_reply_to_a_moved_message_answers_its_copy() -> None:
    world = World()
    await world.hear_and_settle(say("$q", OPERATIONAL))
    await world.hear_and_settle(reply("$a", "$q", OPERATIONAL, ""))
    first, second = [s for s in world.sent if s.post and s.room == SECURE]
    assert second.post is not None
    assert second.post.reply_to == first.event
    assert content(second.post)["m.relates_to"] == {"m.in_reply_to": {"event_id": first.event}}
    assert "In reply to" not in second.post.body


async def test_a_reply_to_what_is_gone_says_so() -> None:
    world = World()
    await world.hear_and_settle(reply("$a", "$never", OPERATIONAL))
    assert "In reply to a message that cannot be read any more" in bodies(world, SECURE)[0]


async def test_the_sender_finds_the_copy_and_its_readers_find_the_place() -> None:
    world = World()
    await world.hear_and_settle(say("$a", OPERATIONAL))
    copy, _, note = world.sent
    assert copy.post is not None
    assert note.post is not None
    assert f"#/{SOCIAL.replace('!', '%21')}/%24a?" in copy.post.formatted
    assert copy.event.replace("$", "%24") in note.post.formatted


async def test_who_may_be_in_the_secure_room_is_let_in_first() -> None:
    world = World()
    social = world.rooms[SOCIAL]
    world.rooms[SOCIAL] = replace(social, entitled=frozenset({ASHA}), supervisor=SERGEANT)
    world.transport.outside.add((SECURE, ASHA))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert (SECURE, ASHA) in world.transport.invited
    assert len(bodies(world, SECURE)) == 1
    effects = [head["effect"] for kind, head, _ in world.ledger() if kind == "debt"]
    assert effects[:2] == ["invite", "copy"]


async def test_who_cannot_be_let_in_does_not_keep_the_leak_open() -> None:
    world = World()
    world.rooms[SOCIAL] = replace(world.rooms[SOCIAL], entitled=frozenset({ASHA}))
    world.transport.outside.add((SECURE, ASHA))
    world.transport.fault = failing("invite", TooLarge("the room is full"))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert ("removed", "$a") in world.done()
    world.transport.fault = no_fault
    await world.settler.settle_once()
    assert len(bodies(world, SECURE)) == 1
    assert any(s.room == RoomId("!review") for s in world.sent), "a person is asked"


async def test_who_may_not_be_in_the_secure_room_is_read_in_the_intake_room() -> None:
    world = World()
    world.rooms[INTAKE] = Approved(id=INTAKE, cls=RoomClass.INTAKE, name="Response A intake")
    world.rooms[SOCIAL] = replace(
        world.rooms[SOCIAL], entitled=frozenset(), intake=INTAKE, supervisor=SERGEANT
    )
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert bodies(world, SECURE) == []
    assert len(bodies(world, INTAKE)) == 1
    assert "is now in Response A intake" in bodies(world, RoomId(f"!direct-{ASHA}"))[0]
    told = bodies(world, RoomId(f"!direct-{SERGEANT}"))
    assert "was moved to Response A intake" in told[0]
    assert "AB12" not in told[0]


async def test_a_secure_room_that_was_upgraded_is_followed() -> None:
    world = World()
    world.transport.upgraded[RoomId("!newer")] = SECURE
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert len(bodies(world, RoomId("!newer"))) == 1


async def test_who_is_not_yet_in_the_room_that_replaced_the_secure_one_is_let_in() -> None:
    world = World()
    world.rooms[SOCIAL] = replace(world.rooms[SOCIAL], entitled=frozenset({ASHA}))
    world.transport.upgraded[RoomId("!newer")] = SECURE
    world.transport.outside.add((RoomId("!newer"), ASHA))
    await world.hear_and_settle(say("$a", OPERATIONAL))
    assert world.transport.invited == {(RoomId("!newer"), ASHA)}


async def test_a_file_that_is_too_large_keeps_no_words_back() -> None:
    world = World()
    photo = replace(
        say("$a", OPERATIONAL), kind=Kind.MEDIA, media=(Media(part="file", url="mxc://x/big"),)
    )
    world.transport.fault = failing("repost", TooLarge("100 MB"))
    await world.hear_and_settle(photo)
    words, note = bodies(world, SECURE)
    assert "AB12" in words
    assert "too large" in note
    assert "PC Asha Khan" in note
    assert ("removed", "$a") in world.done()


# What goes along


def at(message: Message, seconds: int) -> Message:
    return replace(message, sent_at=Ms(message.sent_at + 1000 * seconds))


HINTS = ("he's off again, on foot", "two up, blue one", "obs are still on")


async def test_the_fragments_before_a_moved_message_go_with_it_in_their_order() -> None:
    world = World()
    score = world.pipeline.policy().judge
    weak = [words for words in HINTS if _is_weak(score, words)]
    assert weak, "one of these must be a weak signal"
    for n, words in enumerate(weak):
        await world.hear(at(say(f"$w{n}", words), n))
    await world.hear_and_settle(at(say("$a", OPERATIONAL), 30))
    texts = bodies(world, SECURE)
    found = [next(i for i, text in enumerate(texts) if words in text) for words in weak]
    assert found == sorted(found)
    assert "AB12" in texts[-1]
    gone = {which for what, which in world.done() if what == "removed"}
    assert gone == {"$a", *(f"$w{n}" for n in range(len(weak)))}
    told = [said for said in bodies(world, RoomId(f"!direct-{ASHA}")) if "is now in" in said]
    assert len(told) == 1
    assert "What you said just before went with it." in told[0]


async def test_a_fragment_after_it_follows_and_chat_stays() -> None:
    world = World()
    (weak, *_) = [words for words in HINTS if _is_weak(world.pipeline.policy().judge, words)]
    await world.hear_and_settle(say("$a", OPERATIONAL))
    await world.hear_and_settle(at(say("$b", weak), 20))
    await world.hear_and_settle(at(say("$c", "who brings the milk?"), 25))
    await world.hear_and_settle(at(say("$d", weak, sender=UserId("@ben:x")), 26))
    await world.hear_and_settle(at(say("$e", weak), 200))
    gone = {which for what, which in world.done() if what == "removed"}
    assert gone == {"$a", "$b"}


def _is_weak(judge: object, words: str) -> bool:
    verdict = judge(say("$x", words), RoomClass.SOCIAL)  # type: ignore[operator]
    return bool(verdict.score > 0 and verdict.action.value < 2)


def test_a_post_of_several_parts_says_nothing_twice() -> None:
    made = posts(say("$a", "x" * 50_000), FRAME, Parent(copy=EventId("$p")))
    assert made[0].reply_to == "$p"
    assert all(post.reply_to is None for post in made[1:])
    assert isinstance(made[0], Post)
