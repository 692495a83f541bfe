"""Commands, told as stories without a homeserver."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bridge.errors import CannotOpen
from bridge.ledger.opening import ReportReader
from bridge.model import Copy, EventId, Notify, RoomId, Say
from bridge.officers.frontdesk import MOST_A_MINUTE
from tests.making import ASHA, ORIGIN, REVIEW, SECURE, SOCIAL, say
from tests.unit.counter import BEN, DIRECT, GWEN, PAT, STANDARDS, TEAM, Counter
from tests.unit.test_pipeline import OPERATIONAL, POLICY, PSD

WORDS = "Sgt Brown looked his neighbour up"


async def moved(world: Counter, event: str = "$a") -> EventId:
    """Have a message of Asha's moved; return the note about it."""
    await world.hear_and_settle(say(event, OPERATIONAL))
    return world.sent_to(DIRECT, "is now in").event


async def test_help_is_answered_privately_with_what_can_be_typed_there() -> None:
    world = Counter()
    await world.type("!help")
    assert [s.room for s in world.sent] == [DIRECT]
    told = world.last(DIRECT)
    assert "!appeal" in told
    assert "!decision" not in told
    assert "!report" not in told, "that is typed in the direct room"
    assert "!pause" not in told
    await world.type("help", room=DIRECT)
    assert "!report" in world.last(DIRECT)


async def test_a_command_is_on_record_like_anything_said() -> None:
    world = Counter()
    await world.type("!help")
    assert world.kinds() == ["message", "debt", "outcome"]
    assert world.ledger()[-3][1]["action"] == "allow"


async def test_a_command_shows_as_one() -> None:
    world = Counter()
    await world.type("!help")
    post = world.sent[0].post
    assert post is not None
    assert "<code>!why</code>" in post.formatted
    assert not post.sounds


async def test_an_edited_command_is_answered_once() -> None:
    world = Counter()
    first = await world.type("!hlep")
    await world.type("!help", edits=first)
    assert len(world.posts(DIRECT)) == 1
    assert "Did you mean !help?" in world.last(DIRECT)


async def test_a_message_that_is_edited_into_a_command_is_answered_once() -> None:
    world = Counter()
    first = await world.type("tea?")
    await world.type("!help", edits=first)
    world.restart()
    await world.type("!help ", edits=first)
    assert len(world.posts(DIRECT)) == 1


async def test_a_command_that_comes_twice_is_answered_once() -> None:
    world = Counter()
    batch = world.transport.say(say("$a", "!help"))
    await world.pipeline.handle(batch)
    await world.pipeline.handle(batch)
    await world.settler.settle_once()
    assert len(world.posts(DIRECT)) == 1


async def test_somebody_who_types_without_end_is_recorded_and_answered_now_and_then() -> None:
    world = Counter()
    for _ in range(MOST_A_MINUTE + 5):
        await world.type("!help")
    assert len(world.posts(DIRECT)) == MOST_A_MINUTE
    assert world.kinds().count("message") == MOST_A_MINUTE + 5
    world.clock.move(61_000)
    await world.type("!help")
    assert len(world.posts(DIRECT)) == MOST_A_MINUTE + 1


async def test_nobody_is_answered_in_a_room_that_is_on_no_register() -> None:
    world = Counter()
    await world.type("!help", room=type(SOCIAL)("!elsewhere"))
    assert [s.room for s in world.sent] == [REVIEW]


async def test_privacy_says_what_the_policy_says_now() -> None:
    world = Counter()
    await world.type("!privacy")
    told, here = world.last(DIRECT), POLICY.classes[world.rooms[SOCIAL].cls]
    assert "stands there for 30 days" in told
    assert "keeps it for 90 days" in told
    assert all(one in told for one in (*here.looks_for, *here.readers))
    assert "the DPO, ext. 1" in told
    await world.type("!privacy", room=DIRECT)
    assert "in this direct room" in world.last(DIRECT)
    await world.type("!privacy", room=SECURE)
    assert "keeps it for 7 years" in world.last(DIRECT)
    assert "Nothing is looked for" in world.last(DIRECT)


# !why


async def test_why_says_what_happened_when_and_by_which_reason_and_never_quotes() -> None:
    world = Counter()
    note = await moved(world)
    reason = world.sent_to(DIRECT).post
    assert reason is not None
    await world.type("!why", room=DIRECT, to=note)
    told = world.last(DIRECT)
    assert "Your message of 12:00 in Response A social was moved to Response A secure" in told
    copy = next(
        p.effect for p in await world.store.posted_about(EventId("$a"))
        if isinstance(p.effect, Copy)
    )  # fmt: skip
    assert f"Why: {copy.reason}." in told
    assert "AB12" not in told
    assert "Acacia" not in told


@pytest.mark.parametrize("what", ["note", "copy", "message", "nothing", "edit"])
async def test_why_finds_what_is_meant_however_it_is_asked(what: str) -> None:
    world = Counter()
    note = await moved(world)
    copy = world.sent_to(SECURE).event
    edit = say("$e", f"{OPERATIONAL} again", replaces="$a")
    await world.hear_and_settle(edit)
    to = {"note": note, "copy": copy, "message": EventId("$a"), "edit": EventId("$e")}.get(what)
    await world.type("!why", room=SOCIAL if what in {"message", "nothing"} else DIRECT, to=to)
    assert "was moved to Response A secure" in world.last(DIRECT)


async def test_why_is_told_to_the_sender_and_the_rooms_supervisor_and_to_nobody_else() -> None:
    world = Counter()
    await moved(world)
    await world.type("!why", by=BEN, to=EventId("$a"))
    refused = world.last(type(SOCIAL)(f"!direct-{BEN}"))
    assert "moved" not in refused
    await world.type("!why", by=BEN, to=EventId("$never-was"))
    assert world.last(type(SOCIAL)(f"!direct-{BEN}")) == refused, "neither says what there is"
    await world.type("!why", by=GWEN, to=EventId("$a"))
    told = world.last(type(SOCIAL)(f"!direct-{GWEN}"))
    assert "The message of PC Asha Khan of 12:00" in told


async def test_why_about_a_message_that_was_left_alone_says_so() -> None:
    world = Counter()
    await world.hear_and_settle(say("$a", "who brings milk?"))
    await world.type("!why", to=EventId("$a"))
    assert "I did nothing to your message of 12:00" in world.last(DIRECT)
    await world.type("!why")
    assert "Nothing has happened" in world.last(DIRECT)


async def test_why_does_not_tell_that_somebody_was_asked_to_look() -> None:
    world = Counter()
    message = replace(say("$a", "tea?"), suspect=True, doubt="forged")
    await world.hear_and_settle(message)
    assert (await world.store.known([EventId("$a")]))[EventId("$a")].rule is not None
    await world.type("!why", to=EventId("$a"))
    assert "I did nothing to your message" in world.last(DIRECT)


async def test_why_before_it_was_done_says_that_it_was_not() -> None:
    world = Counter()
    await world.hear(say("$a", OPERATIONAL))
    await world.pipeline.handle(world.transport.say(say("$w", "!why")))
    say_why = [d.effect for d in await world.store.owed() if isinstance(d.effect, Say)]
    assert "was not yet" in say_why[0].text


# An exclamation mark is no way round a rule


async def test_words_behind_a_command_are_judged_and_the_command_is_answered() -> None:
    world = Counter()
    event = await world.type(f"!why {OPERATIONAL}")
    assert event in world.removed()
    assert len(world.posts(SECURE)) == 1
    assert world.posts(DIRECT, "Nothing has happened")


async def test_nobody_is_nudged_about_how_they_put_a_question() -> None:
    world = Counter()
    nudged = next(
        text
        for text in ("one in custody", "obs on", "in custody", "the suspect", "CAD", "misper")
        if POLICY.judge(say("$x", f"!why {text}"), world.rooms[SOCIAL].cls).action == 1
    )
    await world.type(f"!why {nudged}")
    assert len(world.posts(DIRECT)) == 1
    assert not any(
        isinstance(d.effect, Notify) for d in await world.store.owed()
    )  # fmt: skip


# !appeal


async def test_an_appeal_by_reply_or_about_the_newest_note_reaches_a_reviewer() -> None:
    for to in ("note", "newest"):
        world = Counter()
        note = await moved(world)
        await world.type("!appeal that is my own car", room=DIRECT,
                         to=note if to == "note" else None)  # fmt: skip
        assert world.posts(REVIEW, "an appeal")
        assert world.posts(DIRECT, "Thank you")
        assert "my own car" not in "".join(world.posts(REVIEW))


async def test_an_appeal_about_nothing_is_answered_politely() -> None:
    world = Counter()
    await world.type("!appeal")
    assert "the Digital Desk" in world.last(DIRECT)
    assert not world.posts(REVIEW)


# !report


async def test_a_report_opens_to_professional_standards_and_to_nobody_else() -> None:
    world = Counter()
    event = await world.type(f"!report {WORDS}", room=DIRECT)
    record = next(r for r in world.store.records if b'"kind":"report"' in r.header)
    header = msgspec.json.decode(record.header, type=dict[str, str | int])
    assert not {"sender", "room", "event", "ref"} & header.keys()
    inside = msgspec.json.decode(
        ReportReader(ORIGIN, STANDARDS).open(header, record.body), type=dict[str, object]
    )
    assert inside["words"] == WORDS
    assert inside["sender"] == ASHA
    with pytest.raises(CannotOpen):
        ReportReader(ORIGIN, PSD).open(header, record.body)
    others = [inside for kind, _, inside in world.ledger() if kind != "report"]
    assert "neighbour" not in msgspec.json.encode(others).decode()
    assert event in world.removed(), "it is not left in the direct room"


async def test_professional_standards_hear_of_a_report_and_not_who_made_it() -> None:
    world = Counter()
    await world.type(f"!report {WORDS}", room=DIRECT)
    notice = world.last(type(SOCIAL)(f"!direct-{PAT}"))
    rid = next(h["rid"] for k, h, _ in _headers(world) if k == "report")
    assert str(rid) in notice
    assert "neighbour" not in notice
    assert "Asha" not in notice
    assert ASHA not in notice
    assert TEAM in world.last(DIRECT)
    assert not world.posts(REVIEW)


async def test_no_debt_of_a_report_keeps_its_words() -> None:
    world = Counter()
    await world.transport.direct(ASHA)
    await world.hear(say("$r", f"!report {WORDS}", room=DIRECT))
    owed = await world.store.owed()
    assert {type(d.effect).__name__ for d in owed} == {"Redact", "Say"}
    assert all(d.ciphertext == b"" for d in owed)
    assert "neighbour" not in repr(owed)


async def test_an_edit_of_a_report_leaves_no_words_either() -> None:
    world = Counter()
    first = await world.type(f"!report {WORDS}", room=DIRECT)
    await world.type("Sgt Brown looked up two neighbours", room=DIRECT, edits=first)
    others = [inside for kind, _, inside in world.ledger() if kind != "report"]
    assert "neighbours" not in msgspec.json.encode(others).decode()


async def test_where_nobody_could_open_a_report_nothing_of_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Counter, "can_report", False)
    world = Counter()
    event = await world.type(f"!report {WORDS}", room=DIRECT)
    assert "report" not in world.kinds()
    assert "neighbour" not in msgspec.json.encode([i for _, _, i in world.ledger()]).decode()
    assert event in world.removed()
    assert "the Digital Desk" in world.last(DIRECT)
    assert "were not kept" in world.last(DIRECT)


async def test_a_report_typed_among_colleagues_is_taken_out_and_copied_nowhere() -> None:
    """Whom it is about may be reading the secure room."""
    for room in (SOCIAL, SECURE):
        world = Counter()
        event = await world.type(f"!report {WORDS} {OPERATIONAL}", room=room)
        assert world.removed() == [event]
        assert not world.posts(SECURE)
        assert not world.posts(REVIEW)
        assert "verdict" not in world.kinds()
        assert "report" not in world.kinds()
        told = world.last(DIRECT)
        assert "type it again here" in told
        assert "neighbour" not in told


async def test_a_report_without_words_asks_for_them() -> None:
    world = Counter()
    event = await world.type("!report", room=DIRECT)
    assert event not in world.removed()
    assert "your words" in world.last(DIRECT)
    assert "report" not in world.kinds()


# !decision


async def test_a_decision_is_numbered_on_record_and_answered_in_its_room() -> None:
    world = Counter()
    await world.type("!decision no pursuit above 50", room=SECURE)
    world.restart()
    await world.type("!decision stand down", room=SECURE, by=BEN)
    found = [(h, i) for k, h, i in world.ledger() if k == "minute"]
    assert [i["number"] for _, i in found] == [1, 2]
    assert [i["words"] for _, i in found] == ["no pursuit above 50", "stand down"]
    assert [i["sender"] for _, i in found] == [ASHA, BEN]
    first, second = world.posts(SECURE)
    assert first.startswith("Decision 1 of this room is on record: PC Asha Khan, 12:00.")
    assert str(found[1][0]["rid"]) in second


async def test_decisions_of_one_batch_have_numbers_of_their_own() -> None:
    world = Counter()
    await world.hear(say("$1", "!decision a", room=SECURE), say("$2", "!decision b", room=SECURE))
    assert [i["number"] for k, _, i in world.ledger() if k == "minute"] == [1, 2]


async def test_an_edited_decision_stays_as_it_was_first_written() -> None:
    world = Counter()
    first = await world.type("!decision no pursuit", room=SECURE)
    await world.type("!decision pursuit", room=SECURE, edits=first)
    assert [i["words"] for k, _, i in world.ledger() if k == "minute"] == ["no pursuit"]
    assert world.kinds().count("message") == 2


async def test_words_that_no_file_could_hold_do_not_stop_the_bot() -> None:
    world = Counter()
    await world.type("!decision no pursuit \ud800", room=SECURE)
    await world.type(f"!report {WORDS} \udfff", room=DIRECT)
    await world.type("!pause all 1m because \ud800", room=REVIEW, by=GWEN)
    await world.type("!\ud800 \ud800", room=DIRECT)
    assert {"minute", "report", "brake"} <= {kind for kind, _, _ in _headers(world)}
    (pause,) = await world.store.standing()
    assert pause.reason == "because \\ud800"


async def test_a_decision_elsewhere_is_refused_politely_and_judged_as_what_it_says() -> None:
    world = Counter()
    await world.type("!decision tea at three")
    assert "Decisions go on record in Response A secure" in world.last(DIRECT)
    event = await world.type(f"!decision stop {OPERATIONAL}")
    assert event in world.removed()
    assert "minute" not in world.kinds()
    await world.type("!decision", room=SECURE)
    assert "what was decided" in world.last(DIRECT)


def _headers(world: Counter) -> list[tuple[str, dict[str, str | int], None]]:
    heads = [msgspec.json.decode(r.header, type=dict[str, str | int]) for r in world.store.records]
    return [(str(head["kind"]), head, None) for head in heads]


async def test_a_mistyped_report_is_not_kept_and_says_how_to_type_it() -> None:
    world = Counter()
    await world.type(f"!reprot {WORDS}", room=DIRECT)
    assert "Did you mean !report? Your words were not kept" in world.last(DIRECT)
    assert world.removed() == ["$typed1"]
    await world.type(f"!report {WORDS}", room=DIRECT, edits=EventId("$typed1"))
    assert f"This goes to {TEAM} only" in world.last(DIRECT)
    assert WORDS not in str(world.ledger())


async def test_a_report_without_words_that_is_edited_into_one_is_taken_as_one() -> None:
    world = Counter()
    first = await world.type("!report", room=DIRECT)
    await world.type(f"!report {WORDS}", room=DIRECT, edits=first)
    assert f"This goes to {TEAM} only" in world.last(DIRECT)
    assert WORDS not in str(world.ledger())


async def test_what_the_server_could_have_written_in_a_persons_name_is_not_done() -> None:
    """Whoever runs the homeserver can send anything in the clear, and sign in as anybody."""
    world = Counter()
    for room, words, told in (
        (SECURE, "!decision let him go", f"!direct-{ASHA}"),
        (DIRECT, f"!report {WORDS}", DIRECT),
        (REVIEW, "!pause all 7d", f"!direct-{GWEN}"),
        (REVIEW, "!resume waive all", f"!direct-{GWEN}"),
    ):
        by = GWEN if room == REVIEW else ASHA
        await world.type(words, room=room, by=by, plain=True)
        assert "whoever runs the server could have written it" in world.last(RoomId(told))
    await world.type("!incident on all", room=REVIEW, by=GWEN, doubt="its device is a new one")
    assert "Nothing was done: its device is a new one." in world.last(RoomId(f"!direct-{GWEN}"))
    assert await world.store.standing() == ()
    assert await world.store.minutes(SECURE) == 0
    assert "report" not in {msgspec.json.decode(one.header)["kind"] for one in world.store.records}
    assert WORDS not in str(world.ledger())
