"""Makes the small things that many tests need."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.ledger.keys import Certificates, Custodian
from bridge.model import EventId, Kind, Message, Ms, RoomClass, RoomId, UserId
from bridge.store.book import Identity

ORIGIN = "force.example/bluelamp"
#: 22 November 2026, noon UTC.
NOON = Ms(1_795_348_800_000)
SOCIAL, SECURE, REVIEW = RoomId("!social"), RoomId("!secure"), RoomId("!review")
ASHA = UserId("@asha:force.example")
RETENTION = {
    **dict.fromkeys(RoomClass, "operational"),
    RoomClass.SOCIAL: "social",
    RoomClass.COMMUNITY: "social",
    RoomClass.DIRECT: "social",
}


class Hands:
    """A clock that moves when told to."""

    def __init__(self, at: Ms = NOON) -> None:
        self.at = at

    def __call__(self) -> Ms:
        return self.at

    def move(self, ms: int) -> None:
        self.at = Ms(self.at + ms)


def custodian(name: str = "psd", months: int = 2) -> Custodian:
    made = Custodian.new(name)
    for retention in ("social", "operational", "system"):
        for after in range(10, 10 + months):
            year, month = 2026 + after // 12, after % 12 + 1
            made.issue(retention, year=year, month=month, kept_days=90)
    return made


def identity(*custodians: Custodian, origin: str = ORIGIN) -> Identity:
    pinned = {one.name: one.public for one in custodians}
    return Identity(
        origin=origin,
        key=Ed25519PrivateKey.from_private_bytes(b"k" * 32),
        certificates=Certificates([one.bundle() for one in custodians], pinned=pinned),
        custodians=pinned,
        retention=RETENTION,
    )


def say(
    event: str,
    body: str = "who brings milk",
    *,
    room: RoomId = SOCIAL,
    sender: UserId = ASHA,
    kind: Kind = Kind.TEXT,
    at: Ms = NOON,
    replaces: str | None = None,
    late: bool = False,
) -> Message:
    content = json.dumps({"msgtype": "m.text", "body": body}).encode()
    return Message(
        event_id=EventId(event),
        room=room,
        sender=sender,
        sent_at=at,
        kind=kind,
        type="m.room.message" if kind is not Kind.UNREADABLE else "m.room.encrypted",
        body=body if kind is not Kind.UNREADABLE else "",
        content=content,
        ciphertext=b'{"type":"m.room.encrypted","of":"' + event.encode() + b'"}',
        replaces=EventId(replaces) if replaces else None,
        late=late,
        doubt="" if kind is not Kind.UNREADABLE else "no key",
    )
