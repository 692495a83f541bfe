"""What else holds the words of a moved message, and how its certificate reads. No server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.acting.closure import (
    SEALED_FILE,
    Found,
    Moved,
    What,
    certified,
    find,
    in_thread,
    left,
    limits,
    mark,
    quotation,
    quotes,
    relations,
    summary,
    worded,
)
from bridge.matrix.translate import plain
from bridge.matrix.words import to_json
from bridge.model import EventId, Fate, Kind, Message, RoomId, Step, UserId
from tests.making import ASHA, SOCIAL, say

BEN = UserId("@ben:force.example")
WORDS = "AB12 CDE has just left 14 Acacia Avenue"


def event(
    name: str, content: Mapping[str, Any], *, sender: UserId = BEN, kind: str = "m.room.message",
    room: RoomId = SOCIAL,
) -> Message:  # fmt: skip
    served = {"event_id": name, "sender": sender, "type": kind, "origin_server_ts": 1}
    return plain(room, {**served, "content": content})


def related(name: str, how: str, target: str, **more: Any) -> Message:
    sender, kind = more.pop("sender", BEN), more.pop("kind", "m.room.message")
    relation = {"rel_type": how, "event_id": target, **more.pop("relation", {})}
    content = {"msgtype": "m.text", "body": "ok", "m.relates_to": relation, **more}
    return event(name, content, sender=sender, kind=kind)


def reply(name: str, target: str, body: str, html: str = "", *, sender: UserId = BEN) -> Message:
    content = {"msgtype": "m.text", "body": body, "formatted_body": html,
               "m.relates_to": {"m.in_reply_to": {"event_id": target}}}  # fmt: skip
    return event(name, content, sender=sender)


def moved(*events: str, said: tuple[str, ...] = (WORDS,), whole: bool = True) -> Moved:
    ids = frozenset(map(EventId, events or ("$a",)))
    return Moved(room=SOCIAL, sender=ASHA, events=ids, said=said, whole=whole)


def found(them: tuple[Found, ...]) -> dict[str, What]:
    return {one.message.event_id: one.what for one in them}


def of(*later: Message, threads: bool = False, what: Moved | None = None) -> dict[str, What]:
    return found(find(what or moved(), later, threads=threads))


def test_its_senders_edits_go_and_those_of_an_edit_and_nobody_elses() -> None:
    own = related("$b", "m.replace", "$a", sender=ASHA)
    again = related("$c", "m.replace", "$b", sender=ASHA)
    forged = related("$d", "m.replace", "$a", sender=BEN)
    assert of(own, again, forged) == {"$b": What.EDIT, "$c": What.EDIT}


@pytest.mark.parametrize(
    ("key", "says"),
    [
        *((picture, False) for picture in ("👍", "👍🏽", "🚔🚨", "1️⃣", "#️⃣", "🇬🇧", "✅", "")),
        *((words, True) for words in ("AB12 CDE", "B", "12", "1️⃣2", "ok 👍", "Ж")),
    ],
)
def test_a_reaction_says_something_if_it_has_letters_or_digits(key: str, says: bool) -> None:
    assert worded(key) is says
    reaction = related("$b", "m.annotation", "$a", kind="m.reaction", relation={"key": key})
    assert of(reaction) == ({"$b": What.REACTION} if says else {})


@pytest.mark.parametrize(
    ("body", "html"),
    [
        (f"> <@asha:force.example> {WORDS}\n\non my way", ""),
        ("on my way", f'<mx-reply><blockquote><a href="x">In reply to</a> <a href="y">Asha</a><br>'
         f"{WORDS}</blockquote></mx-reply>on my way"),
        ("on my way", f"<blockquote>{WORDS}</blockquote>on my way"),
        (f"> {WORDS[:20]}…\n\non my way", ""),
        (f"say again: {WORDS.lower()}?", ""),
        (f"* > <@asha:force.example> {WORDS}\n\non my way", ""),
    ],
)  # fmt: skip
def test_a_reply_that_repeats_the_words_goes(body: str, html: str) -> None:
    assert of(reply("$b", "$a", body, html)) == {"$b": What.REPLY}


@pytest.mark.parametrize(
    ("body", "html"),
    [
        ("on my way", ""),
        ("on my way", "<b>on</b> my way"),
        ("> <@ben:force.example> who brings milk\n\nme", ""),
    ],
)
def test_a_reply_that_does_not_repeat_them_stays(body: str, html: str) -> None:
    assert of(reply("$b", "$a", body, html)) == {}


def test_where_its_words_are_not_known_a_quotation_is_taken_to_repeat_them() -> None:
    unknown = moved(said=(), whole=False)
    assert of(reply("$b", "$a", "> <@asha:x> cheers\n\nyes"), what=unknown) == {"$b": What.REPLY}
    assert of(reply("$b", "$a", "yes"), what=unknown) == {}


def test_edits_of_a_reply_that_goes_go_with_it_and_answers_to_it_stay() -> None:
    quoting = reply("$b", "$a", f"> <@asha:x> {WORDS}\n\nwhere?")
    corrected = related("$c", "m.replace", "$b", sender=BEN, body="* where is that?")
    answer = reply("$d", "$b", "> <@ben:x> where?\n\nthe estate")
    assert of(quoting, corrected, answer) == {"$b": What.REPLY, "$c": What.EDIT}


def test_a_quotation_of_a_quotation_goes() -> None:
    quoting = reply("$b", "$a", f"> <@asha:x> {WORDS}\n\nwhere?")
    nested = reply("$c", "$b", f"> <@ben:x> > {WORDS}\n> where?\n\nthe estate")
    assert of(quoting, nested) == {"$b": What.REPLY, "$c": What.REPLY}


def test_a_thread_stays_or_goes_as_the_policy_says_but_what_quotes_goes() -> None:
    answers = [related(f"${n}", "m.thread", "$a") for n in range(3)]
    quoting = related("$q", "m.thread", "$a", body=f"> <@asha:x> {WORDS}\n\nno",
                      relation={"m.in_reply_to": {"event_id": "$a"}})  # fmt: skip
    assert of(*answers, quoting) == {"$q": What.REPLY}
    assert in_thread(moved(), [*answers, quoting]) == 4
    gone = of(*answers, quoting, threads=True)
    assert gone.keys() == {"$0", "$1", "$2", "$q"}


def test_votes_and_the_result_of_a_poll_go_with_it() -> None:
    vote = related("$b", "m.reference", "$a", kind="org.matrix.msc3381.poll.response")
    end = related("$c", "m.reference", "$a", kind="m.poll.end", body="Top answer: the High St")
    other = related("$d", "m.reference", "$a", kind="m.key.verification.start")
    assert of(vote, end, other) == {"$b": What.POLL, "$c": What.POLL}


def test_a_reply_that_cannot_be_read_is_neither_taken_out_nor_passed_over() -> None:
    served = {"type": "m.room.encrypted", "content": {"m.relates_to": {"m.in_reply_to": {
        "event_id": "$a"}}}}  # fmt: skip
    dark = replace(say("$b", sender=BEN, kind=Kind.UNREADABLE), content=to_json(served))
    (one,) = find(moved(), [dark], threads=False)
    assert (one.what, one.unsure) == (What.REPLY, True)


def test_relations_count_inside_and_outside_of_the_encryption() -> None:
    inside = related("$b", "m.replace", "$x")
    outer = {"content": {"m.relates_to": {"rel_type": "m.replace", "event_id": "$y"}}}
    both = Message(event_id=EventId("$b"), room=SOCIAL, sender=BEN, sent_at=inside.sent_at,
                   kind=Kind.TEXT, type="m.room.message", content=inside.content,
                   ciphertext=json.dumps(outer).encode())  # fmt: skip
    assert relations(both) == (("m.replace", "$x"), ("m.replace", "$y"))


def test_another_rooms_event_of_the_same_id_is_another_event() -> None:
    elsewhere = event(
        "$b", {"m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}, "body": "x"},
        sender=ASHA, room=RoomId("!other"),
    )  # fmt: skip
    assert of(elsewhere) == {}


def test_what_says_the_same_without_being_a_reply_is_found_as_that() -> None:
    same = event("$b", {"msgtype": "m.text", "body": f"FYI: {WORDS}!"})
    short = event("$c", {"msgtype": "m.text", "body": "AB12"})
    assert of(same, short) == {"$b": What.ECHO}
    assert of(event("$d", {"body": "ok thanks"}), what=moved(said=("ok thanks",))) == {}


def test_ten_thousand_reactions_and_circles_are_looked_at_once_each() -> None:
    many = [
        related(f"$r{n}", "m.annotation", "$a", kind="m.reaction", relation={"key": f"no {n}"})
        for n in range(10_000)
    ]
    circle = [
        related("$x", "m.replace", "$y", sender=ASHA),
        related("$y", "m.replace", "$x", sender=ASHA),
        related("$z", "m.replace", "$z", sender=ASHA),
    ]
    assert len(of(*many, *circle)) == 10_000
    closed = [*circle[:1], related("$y", "m.replace", "$x", sender=ASHA,
              relation={"m.in_reply_to": {"event_id": "$a"}})]  # fmt: skip
    assert of(*closed, related("$x2", "m.replace", "$a", sender=ASHA)) == {"$x2": What.EDIT}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
FIELD = st.sampled_from(["m.replace", "m.annotation", "m.thread", "m.reference", "$a", "$b", "k"])
RELATION = st.fixed_dictionaries(
    {},
    optional={
        "rel_type": FIELD | JSON,
        "event_id": FIELD | JSON,
        "key": JSON,
        "m.in_reply_to": st.fixed_dictionaries({}, optional={"event_id": FIELD | JSON}) | JSON,
    },
)
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "m.relates_to": RELATION | JSON,
        "body": st.text(max_size=40) | JSON,
        "formatted_body": st.text(alphabet="<>/mxreplybockqu a", max_size=60) | JSON,
        "m.new_content": JSON,
    },
)


@given(st.lists(st.tuples(st.sampled_from(["$a", "$b", "$c"]), CONTENT, st.booleans()), max_size=6))
def test_no_content_makes_it_stumble_or_find_the_moved_message_itself(
    them: list[tuple[str, dict[str, Any], bool]],
) -> None:
    later = [event(name, content, sender=ASHA if own else BEN) for name, content, own in them]
    for threads in (False, True):
        assert "$a" not in of(*later, threads=threads)


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_is_quoted_is_found_in_any_text(body: str, html: str) -> None:
    one = reply("$b", "$a", body, html)
    assert isinstance(quotation(one), str)
    assert quotes(moved(), one) in {True, False}


@given(
    st.text(alphabet="abcdefgh 0123456789", min_size=3, max_size=60).filter(
        lambda text: any(len(word) > 1 for word in text.split())
    )
)
def test_whatever_was_said_a_client_that_quotes_it_is_caught(words: str) -> None:
    known = moved(said=(words,))
    own = "\n\nsee you there"
    assert quotes(known, reply("$b", "$a", f"> <@asha:force.example> {words}{own}"))
    assert quotes(known, reply("$b", "$a", "x", f"<mx-reply><a>1</a><a>2</a>{words}</mx-reply>x"))


# The certificate


def step(what: What, fate: Fate, detail: str = "", target: str = "") -> Step:
    return Step(what=what, fate=fate, target=target, detail=detail)


def test_a_certificate_stands_in_order_and_counts_what_is_too_many_to_list() -> None:
    steps = [step(What.CLIENTS, Fate.PARTIAL)]
    steps += [step(What.REACTION, Fate.REMOVED, target=f"${n}") for n in range(120)]
    steps += [step(What.MESSAGE, Fate.REMOVED, target="$a")]
    made = certified(steps)
    assert [made[0].what, made[1].what, made[-1].what] == ["message", "reaction", "clients"]
    assert made[51] == step(What.REACTION, Fate.REMOVED, "and 70 more like this")
    assert len(made) == 1 + 50 + 1 + 1


def test_a_person_is_told_of_what_is_left_and_not_of_what_always_is() -> None:
    always = limits(encrypted=False, servers=("other.example",), linked=True)
    assert {one.fate for one in always} == {Fate.PARTIAL}
    assert left(always) == ()
    sealed = step(What.FILE, Fate.PARTIAL, SEALED_FILE)
    open_file = step(What.FILE, Fate.PARTIAL, "still on the server")
    dark = [step(What.REPLY, Fate.PARTIAL, "could not be read", f"${n}") for n in range(2)]
    assert left([*always, sealed, open_file, *dark]) == (open_file, *dark)
    said = summary([*always, sealed, open_file, *dark])
    assert said == "file: still on the server; reply (2 of them): could not be read"


def test_an_encrypted_message_leaves_less_behind() -> None:
    fates = {one.what: one.fate for one in limits(encrypted=True, servers=(), linked=True)}
    assert fates["search index"] is fates["notifications"] is Fate.NOT_APPLICABLE
    assert fates["server's copy"] is fates["clients"] is Fate.PARTIAL


def test_a_mark_names_one_thing_and_always_the_same() -> None:
    one = mark("k", EventId("$a"), What.EDIT)
    assert one == mark("k", EventId("$a"), What.EDIT)
    others = {mark("k", EventId("$a"), What.POLL), mark("k", EventId("$b"), What.EDIT),
              mark("l", EventId("$a"), What.EDIT)}  # fmt: skip
    assert one not in others
    assert len(others) == 3
