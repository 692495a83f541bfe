"""Who is told what is kept in their rooms, when, and that they have read it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

import pytest

from bridge.acting import texts
from bridge.acting.hanging import Hanging
from bridge.config import Config, load_config, load_policies, load_register
from bridge.demo.force import found
from bridge.duties.showing import ASK_MS, REFUSED_MS, RETRY_MS, Showing
from bridge.errors import NotFound, NotPermitted, NotSignedIn, TransportError
from bridge.facts import Fact, Progress, Told
from bridge.matrix.api import Api
from bridge.matrix.memory import MemoryTransport
from bridge.matrix.pins import MatrixPins
from bridge.model import EventId, Kind, Message, Ms, RoomClass, RoomId, UserId
from bridge.policy import Policy
from bridge.rooms.board import Board
from bridge.rooms.cards import DAY_MS, Want
from bridge.rooms.housing import wants

SOCIAL, SECURE = RoomId("!social"), RoomId("!secure")
ANNA, BEN, GWEN = (UserId(f"@{name}:force.example") for name in ("anna", "ben", "gwen"))
DIRECT = RoomId(f"!direct-{GWEN}")
CARD = "c" * 64


def want(name: str = "A social", **changes: object) -> Want:
    made = Want(
        name=name, cls=RoomClass.SOCIAL, card=CARD, revision="r1", words="Kept 90 days.",
        joining="Kept 90 days, even if deleted.", visible_ms=30 * DAY_MS,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Hall:
    """Two rooms in memory, and whoever shows people their cards."""

    def __init__(self) -> None:
        self.now = Ms(1_800_000_000_000)
        self.wants = {SOCIAL: (want(), {ANNA, BEN})}
        self.told: list[tuple[Ms, Told]] = []
        self.pins: list[tuple[RoomId, EventId, tuple[EventId, ...]]] = []
        self.dies_after_sending = False
        self.refuses: TransportError | None = None
        self.transport = MemoryTransport(clock=lambda: self.now, fault=self.fault)
        self.showing = self.restarted()

    def restarted(self) -> Showing:
        return Showing(
            board=Board.of(self.told),
            hanging=Hanging(transport=self.transport, pins=self),
            wants=lambda: self.wants,
            direct=self.transport.direct,
            is_member=self.transport.is_member,
            record=self.record,
            clock=lambda: self.now,
            pace_s=0,
        )

    def fault(self, _: str) -> tuple[bool, TransportError | None]:
        return self.refuses is None, self.refuses

    async def record(self, facts: Sequence[Fact]) -> None:
        shown = [one for one in facts if isinstance(one, Told)]
        if self.dies_after_sending and any(one.progress is Progress.SHOWN for one in shown):
            raise KeyboardInterrupt  # as by kill -9: sent, and not on record
        self.told += [(self.now, one) for one in shown]

    async def pin(self, room: RoomId, event: EventId, instead: Collection[EventId]) -> None:
        self.pins.append((room, event, tuple(sorted(instead))))

    async def later(self, ms: int) -> None:
        self.now = Ms(self.now + ms)
        await self.showing.once()

    def said(self, room: RoomId = SOCIAL) -> list[str]:
        return [one.post.body for one in self.transport.sent if one.room == room and one.post]

    def progress(self) -> list[Progress]:
        return [one.progress for _, one in self.told]

    def tap(self, event: EventId, by: UserId = ANNA, key: str = "✅") -> tuple[Fact, ...] | None:
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return self.showing.hear(Message(
            event_id=EventId("$tap"), room=SOCIAL, sender=by, sent_at=self.now, kind=Kind.OTHER,
            type="m.reaction", content=json.dumps({"m.relates_to": relation}).encode(),
        ))  # fmt: skip

    @property
    def card(self) -> EventId:
        hung = self.showing.board.card(SOCIAL)
        assert hung is not None
        return hung.event


@pytest.fixture
def hall() -> Hall:
    return Hall()


async def test_a_card_is_hung_once_pinned_and_on_record_before_and_after(hall: Hall) -> None:
    await hall.showing.once()
    await hall.later(1000)
    assert hall.said() == ["Kept 90 days."]
    assert hall.progress() == [Progress.DUE, Progress.SHOWN]
    assert hall.told[0][1].notice.to == (ANNA, BEN)
    assert hall.pins == [(SOCIAL, hall.card, ())]
    assert all(one.post and not one.post.sounds for one in hall.transport.sent)


async def test_nothing_is_hung_where_nobody_is(hall: Hall) -> None:
    hall.wants = {SOCIAL: (want(), set())}
    await hall.showing.once()
    assert hall.told == []


async def test_what_was_sent_before_a_crash_is_not_sent_again(hall: Hall) -> None:
    hall.dies_after_sending = True
    with pytest.raises(KeyboardInterrupt):
        await hall.showing.once()
    hall.dies_after_sending = False
    hall.showing = hall.restarted()
    await hall.later(60_000)
    assert hall.said() == ["Kept 90 days."]
    assert hall.progress() == [Progress.DUE, Progress.SHOWN]


async def test_what_could_not_be_sent_is_sent_when_the_homeserver_is_back(hall: Hall) -> None:
    hall.refuses = TransportError("away")
    await hall.showing.once()
    assert hall.progress() == [Progress.DUE]
    hall.refuses = None
    await hall.later(RETRY_MS - 1)
    assert hall.said() == []
    await hall.later(1)
    assert hall.said() == ["Kept 90 days."]
    assert hall.progress() == [Progress.DUE, Progress.SHOWN]


async def test_what_was_never_sent_and_holds_no_longer_is_not_sent_any_more(hall: Hall) -> None:
    hall.refuses = TransportError("away")
    await hall.showing.once()
    hall.refuses = None
    hall.wants = {SOCIAL: (want(card="d" * 64, words="Kept 30 days."), {ANNA, BEN})}
    await hall.later(RETRY_MS)
    assert hall.said() == ["Kept 30 days."]
    assert hall.progress() == [
        Progress.DUE, Progress.WITHDRAWN, Progress.DUE, Progress.SHOWN
    ]  # fmt: skip


async def test_a_refusal_for_good_is_tried_again_seldom_and_keeps_nobody_else_waiting(
    hall: Hall,
) -> None:
    hall.refuses = NotPermitted("you may not send here")
    await hall.showing.once()
    hall.refuses = None
    hall.wants[SECURE] = (want("A secure"), {ANNA})
    await hall.later(RETRY_MS)
    assert (hall.said(), hall.said(SECURE)) == ([], ["Kept 90 days."])
    await hall.later(REFUSED_MS)
    assert hall.said() == ["Kept 90 days."]


async def test_who_cannot_be_asked_anywhere_after_a_restart_keeps_nobody_else_waiting(
    hall: Hall,
) -> None:
    """Such as somebody whose account was locked while the bot was down."""
    await hall.showing.once()
    hall.wants[SOCIAL][1].add(GWEN)
    hall.dies_after_sending = True
    with pytest.raises(KeyboardInterrupt):
        await hall.later(1000)
    hall.dies_after_sending = False
    hall.showing = hall.restarted()

    async def refuse(_: UserId) -> RoomId:
        raise NotPermitted("they cannot be asked in")

    hall.showing.direct = refuse
    hall.wants[SECURE] = (want("A secure"), {ANNA})
    await hall.later(1000)
    assert hall.said(SECURE) == ["Kept 90 days."]


async def test_a_bot_that_is_signed_out_does_not_go_on(hall: Hall) -> None:
    hall.refuses = NotSignedIn("the token is not accepted")
    with pytest.raises(NotSignedIn):
        await hall.showing.once()


async def test_who_joins_is_told_in_private_once_about_all_their_rooms(hall: Hall) -> None:
    hall.wants[SECURE] = (want("A secure"), {ANNA, BEN})
    await hall.showing.once()
    hall.transport.outside.add((DIRECT, GWEN))  # they have not accepted yet
    hall.wants = {room: (one, {*inside, GWEN}) for room, (one, inside) in hall.wants.items()}
    await hall.later(1000)
    assert hall.said(DIRECT) == [], "nobody is said to be shown what they cannot see"
    hall.transport.outside.clear()
    await hall.later(1000)
    await hall.later(1000)
    (told,) = hall.said(DIRECT)
    assert told.startswith("A social, A secure: Kept 90 days, even if deleted.")
    assert {one.notice.room for _, one in hall.told if GWEN in one.notice.to} == {SOCIAL, SECURE}
    (sent,) = (one for one in hall.transport.sent if one.room == DIRECT)
    assert {one.progress for one in hall.tap(sent.event, GWEN) or () if isinstance(one, Told)} == {
        Progress.ACKNOWLEDGED
    }
    assert (hall.showing.board.seen[SECURE, GWEN, CARD]).acknowledged is not None


async def test_who_does_not_come_into_the_direct_room_is_asked_again_once_a_day(
    hall: Hall,
) -> None:
    asked: list[UserId] = []
    direct = hall.transport.direct

    async def ask(user: UserId) -> RoomId:
        asked.append(user)
        return await direct(user)

    hall.showing.direct = ask
    await hall.showing.once()
    hall.transport.outside.add((DIRECT, GWEN))
    hall.wants[SOCIAL][1].add(GWEN)
    for _ in range(5):
        await hall.later(1000)
    assert asked == [GWEN]
    await hall.later(ASK_MS)
    assert asked == [GWEN, GWEN]


async def test_what_people_have_to_know_is_told_again_when_it_changes_and_only_then(
    hall: Hall,
) -> None:
    await hall.showing.once()
    first = hall.card
    hall.wants = {SOCIAL: (want(revision="r2"), {ANNA, BEN})}
    await hall.later(1000)
    await hall.later(1000)
    assert len(hall.said()) == 1
    assert hall.progress()[2:] == [Progress.STANDS], "the record says under which policy it stands"
    assert hall.told[-1][1].revision == "r2"
    hall.wants = {SOCIAL: (want(card="d" * 64, words="Kept 30 days."), {ANNA, BEN})}
    await hall.later(1000)
    assert hall.said()[1:] == [texts.changed("Kept 30 days.")]
    assert hall.pins[-1] == (SOCIAL, hall.card, (first,))
    assert hall.showing.board.seen[SOCIAL, ANNA, "d" * 64].acknowledged is None


async def test_another_telephone_number_hangs_a_card_that_nobody_has_to_acknowledge_again(
    hall: Hall,
) -> None:
    await hall.showing.once()
    hall.tap(hall.card)
    hall.wants = {SOCIAL: (want(words="Kept 90 days. Ask ext. 9."), {ANNA, BEN})}
    await hall.later(1000)
    await hall.later(1000)
    assert hall.said()[1:] == ["Kept 90 days. Ask ext. 9."]
    assert hall.showing.board.seen[SOCIAL, ANNA, CARD].acknowledged is not None


async def test_a_card_is_hung_anew_before_the_room_forgets_it(hall: Hall) -> None:
    await hall.showing.once()
    await hall.later(29 * DAY_MS - 1)
    assert len(hall.said()) == 1
    await hall.later(1)
    await hall.later(1000)
    assert len(hall.said()) == 2


async def test_a_day_after_the_last_joiner_the_card_is_hung_where_they_can_read_it(
    hall: Hall,
) -> None:
    await hall.showing.once()
    hall.wants[SOCIAL][1].add(GWEN)
    await hall.later(1000)
    await hall.later(DAY_MS - 1)
    assert len(hall.said()) == 1
    await hall.later(1)
    await hall.later(DAY_MS)
    assert len(hall.said()) == 2
    assert len(hall.said(DIRECT)) == 1


async def test_a_tap_on_the_card_acknowledges_it_once(hall: Hall) -> None:
    await hall.showing.once()
    assert hall.tap(EventId("$else")) is None
    assert hall.tap(hall.card, key="👍") is None
    (fact,) = hall.tap(hall.card) or ()
    assert isinstance(fact, Told)
    assert (fact.progress, fact.by, fact.notice.room) == (Progress.ACKNOWLEDGED, ANNA, SOCIAL)
    assert hall.tap(hall.card) == ()


async def test_nobody_acknowledges_for_somebody_else(hall: Hall) -> None:
    await hall.showing.once()
    hall.wants[SOCIAL][1].add(GWEN)
    await hall.later(1000)
    (note,) = (one for one in hall.transport.sent if one.room == DIRECT)
    assert hall.tap(note.event, BEN) == ()


async def test_a_tap_that_comes_before_the_card_is_on_record_counts(hall: Hall) -> None:
    hall.dies_after_sending = True
    with pytest.raises(KeyboardInterrupt):
        await hall.showing.once()
    hall.dies_after_sending = False
    hall.showing = hall.restarted()
    (sent,) = hall.transport.sent
    assert hall.tap(sent.event, BEN) is None
    await hall.later(RETRY_MS)
    assert hall.progress()[-1] is Progress.ACKNOWLEDGED
    assert hall.showing.board.seen[SOCIAL, BEN, CARD].acknowledged is not None


def test_what_a_joiner_is_told_is_one_message_with_what_is_the_same_said_once() -> None:
    said = texts.welcome({"A": "Kept 90 days.", "B": "Kept 90 days.", "C": "Kept 7 years."})
    first, second, last = said.split("\n")
    assert (first, second) == ("A, B: Kept 90 days.", "C: Kept 7 years.")
    assert "✅" in last


# What it says, by the shipped policies


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("notices") / "force"
    return load_config(found(folder, "http://127.0.0.1:9", cards=True).config)


@pytest.fixture(scope="module")
def policy(force: Config) -> Policy:
    return load_policies(force.policies, clock=None)


def wanted(config: Config, policy: Policy, **changes: object) -> dict[str, Want]:
    """What people are to know where social rooms have *changes* in classes.yaml."""
    social = replace(policy.classes[RoomClass.SOCIAL], **changes)  # type: ignore[arg-type]
    changed = replace(policy, classes={**policy.classes, RoomClass.SOCIAL: social})
    return dict(wants(config, load_register(config)[0], changed))


def test_every_room_that_people_talk_in_has_a_card_and_each_says_what_is_so(
    force: Config, policy: Policy
) -> None:
    made = wanted(force, policy)
    assert set(made) == set(load_register(force)[0].rooms)
    social, secure = made["response-a-social"], made["response-a-secure"]
    assert "use Response A secure." in social.words
    assert "Visible 30 days; kept 90 days, longer under hold." in social.words
    assert "Pictures without a caption and voice notes are kept, not judged." in social.words
    assert "Messages between two people, and calls, are not recorded." in secure.words
    assert "not judged" not in secure.words
    assert "kept 7 years" in secure.words
    for one in made.values():
        assert one.words.endswith("Tap ✅ to say that you have read this; that is recorded.")
        for words in (one.words, one.joining):
            assert not re.search("breach|violat|misconduct|confidential", words)
    assert "Messages are kept 90 days, even if deleted; longer under legal hold." in social.joining


@pytest.mark.parametrize(
    "changes",
    [
        {"visible_days": 29},
        {"kept_days": 91},
        {"readers": ("auditors with a recorded reason", "the press")},
        {"looks_for": ("words that professional standards should see",)},
    ],
)
def test_another_time_reader_or_thing_looked_for_has_to_be_known(
    force: Config, policy: Policy, changes: dict[str, object]
) -> None:
    before = wanted(force, policy)["response-a-social"]
    assert wanted(force, policy, **changes)["response-a-social"].card != before.card


def test_another_threshold_or_contact_has_not_to_be_known(force: Config, policy: Policy) -> None:
    before = wanted(force, policy)["response-a-social"]
    again = wanted(force, replace(policy, revision="f" * 64), nudge=41)["response-a-social"]
    assert again.revision != before.revision
    assert (again.card, again.words) == (before.card, before.words)
    other = wanted(replace(force, contact="somebody else"), policy)["response-a-social"]
    assert other.card == before.card
    assert other.words != before.words


def test_a_class_without_a_card_hangs_none(force: Config, policy: Policy) -> None:
    rooms = wanted(force, policy, card=False)
    assert "response-a-social" not in rooms
    assert "response-a-secure" in rooms


class Door:
    """The pinned messages of one room on a homeserver."""

    def __init__(self, *pinned: str) -> None:
        self.state: dict[str, object] | None = {"pinned": [*pinned]} if pinned else None
        self.written = 0

    async def call(self, method: str, _: str, body: dict[str, object] | None = None) -> object:
        if method == "PUT":
            self.state, self.written = body, self.written + 1
        if self.state is None:
            raise NotFound("there is no such state")
        return self.state


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ["$new"]),
        (("$old", "$theirs"), ["$new", "$theirs"]),
        (("$theirs",), ["$new", "$theirs"]),
    ],
)
async def test_the_card_is_pinned_and_nobody_elses_pins_are_taken_down(
    before: tuple[str, ...], after: list[str]
) -> None:
    door = Door(*before)
    pins = MatrixPins(cast(Api, door))
    for _ in range(2):
        await pins.pin(SOCIAL, EventId("$new"), [EventId("$old")])
    assert door.state is not None
    assert door.state["pinned"] == after
    assert door.written == 1, "what is as it should be is not written again"
