"""What follows the shift: the card, a photograph, a word in distress, two appeals, and the brake.

Never raises for what went wrong: each scene says so, and the demo ends with its exit code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from bridge.demo.force import BOT
from bridge.demo.officer import Officer, Phone
from bridge.demo.stage import Stage
from bridge.matrix import media
from bridge.matrix.api import quote
from bridge.model import EventId, Message, RoomId
from bridge.rooms.board import Board
from bridge.running.control import Order, ask
from bridge.store.reader import told_in

_PATIENCE_S = 60.0
#: A picture of nothing: what is moved is bytes, and nobody looks into them.
_PICTURE = b"\xff\xd8\xff\xe0 a picture of a car park \xff\xd9" * 40


@dataclass(slots=True)
class Scene:
    """One thing that was shown."""

    name: str
    #: What was seen, a line each.
    seen: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def hold(self, good: bool, words: str) -> bool:
        """Note what was seen, or that it was not."""
        (self.seen if good else self.faults).append(words)
        return good


async def scenes(on: Stage) -> AsyncIterator[Scene]:
    """Play them one after the other."""
    for play in (_card, _photograph, _distress, _restored, _stands, _brake):
        yield await play(on)


async def _card(on: Stage) -> Scene:
    scene = Scene("The card in the room")
    asha, room = on.officers["asha"], on.social("Response A")
    card = await _posted(asha, room, "Fine here:")
    scene.hold(card is not None, "it says what is kept, how long, and who can read it")
    if card is None:
        return scene
    pins = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.pinned_events"
    pinned = (await asha.api.call("GET", pins)).get("pinned")
    scene.hold(pinned == [card.event_id], "it is pinned")
    await asha.react(room, card.event_id, "✅")
    said = await asha.until(lambda _: _acknowledged(on, asha), _PATIENCE_S)
    scene.hold(said, "✅ on it: that it was read is on record")
    return scene


def _acknowledged(on: Stage, officer: Officer) -> bool:
    told = Board.of(told_in(on.config.ledger))
    return any(
        one.acknowledged is not None for (_, user, _), one in told.seen.items()
        if user == officer.user
    )  # fmt: skip


async def _photograph(on: Stage) -> Scene:
    scene = Scene("A photograph with a caption")
    asha, ben, secure = on.officers["asha"], on.officers["ben"], on.secure("Response A")
    place = await media.put(asha.api, _PICTURE)
    caption = "KX19 ZZT parked up outside the address, two in it"
    content = {"msgtype": "m.image", "body": caption, "filename": "IMG_0412.jpg", "file": place}
    event = await asha.send(on.social("Response A"), content)
    scene.hold(await _gone(ben, event), "it is out of the social room")

    def moved(phone: Phone) -> bool:
        found = phone.messages.values()
        return any(m.room == secure and m.media and "KX19 ZZT" in m.body for m in found)

    scene.hold(await ben.until(moved, _PATIENCE_S), "picture and caption are in the secure room")
    return scene


async def _distress(on: Stage) -> Scene:
    scene = Scene("A word in distress")
    femi, ewa = on.officers["femi"], on.officers["ewa"]
    words = "can't stop thinking about that baby. haven't slept since"
    event = await femi.say(on.social("Response B"), words)
    told = await _told(on, femi, "That sounds heavy. Nobody has been told.")
    scene.hold(told is not None, "who said it is offered somebody to talk to, in private")
    scene.hold(event not in ewa.phone.removed, "it stays where it is, and nobody is told")
    return scene


async def _restored(on: Stage) -> Scene:
    scene = Scene("An appeal that is granted")
    words = "AB21 XYZ is Priya's new car, come and see it in the yard"
    asked = await _appealed(on, scene, "ben", "Response A", words)
    if asked is None:
        return scene
    await _decided(on, scene, asked, _Word("dan", "✅", "yes"))
    asha, social = on.officers["asha"], on.social("Response A")
    back = await _posted(asha, social, words)
    scene.hold(back is not None, "it is back in the social room, under its author's name")
    sorry = await _told(on, on.officers["ben"], "You were right; we are sorry.")
    scene.hold(sorry is not None, "its author is told so")
    return scene


async def _stands(on: Stage) -> Scene:
    scene = Scene("An appeal that is refused")
    words = "CAD 3381 is still open, two males on foot towards the estate"
    asked = await _appealed(on, scene, "femi", "Response B", words)
    if asked is None:
        return scene
    await _decided(on, scene, asked, _Word("chloe", "❌", "It names a live job."))
    note = await _told(on, on.officers["femi"], "A person agreed that this belongs in")
    scene.hold(note is not None, "its author is told why, and how to ask again")
    return scene


async def _brake(on: Stage) -> Scene:
    scene = Scene("The brake")
    room, ewa, dan = on.social("Response B"), on.officers["ewa"], on.officers["dan"]
    await _order(on, Order(do="pause", room=room, by="demo", reason="to show it"))
    event = await ewa.say(room, "Suspect's back at 22 Elm Road, obs are on the front door")
    await dan.until(lambda phone: event in phone.messages, _PATIENCE_S)
    stays = not await dan.until(lambda phone: event in phone.removed, 2.0)
    scene.hold(stays, "under the brake a message is recorded and stays where it is")
    await _order(on, Order(do="resume", room=room, by="demo", reason="it was shown"))
    scene.hold(await _gone(dan, event), "when it is released, what was owed is done")
    return scene


async def _order(on: Stage, order: Order) -> None:
    await ask(on.config.socket, order)


async def _gone(officer: Officer, event: EventId) -> bool:
    return await officer.until(lambda phone: event in phone.removed, _PATIENCE_S)


async def _told(on: Stage, officer: Officer, words: str, after: int = 0) -> Message | None:
    """Wait until the bot has told *officer* something in private after that moment, ms."""
    rooms = set(on.rooms.values())

    def said(message: Message) -> bool:
        ours = message.sender == BOT and message.room not in rooms
        return ours and words in message.body and message.sent_at >= after

    return await _seen(officer, said)


async def _posted(officer: Officer, room: RoomId, words: str, after: int = 0) -> Message | None:
    def said(message: Message) -> bool:
        ours = message.sender == BOT and message.room == room
        return ours and words in message.body and message.sent_at >= after

    return await _seen(officer, said)


async def _seen(officer: Officer, said: Callable[[Message], bool]) -> Message | None:
    if not await officer.until(lambda p: any(map(said, p.messages.values())), _PATIENCE_S):
        return None
    return max(filter(said, officer.phone.messages.values()), key=lambda one: one.sent_at)


async def _appealed(on: Stage, scene: Scene, who: str, team: str, words: str) -> Message | None:
    """Have it moved and appealed; the request as reviewers read it."""
    officer = on.officers[who]
    event = await officer.say(on.social(team), words)
    note = await _told(on, officer, "is now in", await _when(officer, event))
    if not scene.hold(note is not None, "it is moved, and its author is told"):
        return None
    assert note is not None  # noqa: S101 - it was held just now
    await officer.react(note.room, note.event_id, "👎")
    thanks = await _told(on, officer, "Thank you.", note.sent_at)
    scene.hold(thanks is not None, "👎 on the note: who answers, and by when, is promised")
    reviewer = on.officers["dan" if team == "Response A" else "chloe"]
    asked = await _posted(reviewer, on.rooms["review"], "Please look at an appeal", note.sent_at)
    scene.hold(asked is not None, "the reviewers are asked")
    return asked


async def _when(officer: Officer, event: EventId) -> int:
    """When the server took an event of the officer's own."""
    await officer.until(
        lambda phone: event in phone.messages or event in phone.removed, _PATIENCE_S
    )
    own = officer.phone.messages.get(event)
    return own.sent_at if own else 0


@dataclass(frozen=True, slots=True)
class _Word:
    """What a reviewer says: a tap, and the reply that confirms it."""

    who: str
    key: str
    words: str


async def _decided(on: Stage, scene: Scene, asked: Message, said: _Word) -> None:
    reviewer, room = on.officers[said.who], on.rooms["review"]
    await reviewer.react(room, asked.event_id, said.key)
    question = await _posted(reviewer, room, "To confirm", asked.sent_at)
    if question is None:
        scene.faults.append("the reviewer was asked back")
        return
    relation = {"m.in_reply_to": {"event_id": question.event_id}}
    await reviewer.send(room, {"msgtype": "m.text", "body": said.words, "m.relates_to": relation})
    scene.seen.append(f"{said.key} and a reply: a reviewer of another team decides")
