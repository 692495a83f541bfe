"""The policy that ships, read from the folder of this project."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bridge.model import EventId, Kind, Message, Ms, RoomId, UserId
from bridge.policy import Policy
from bridge.policy.load import load

PROJECT = Path(__file__).parents[3]
POLICIES = PROJECT / "policies"
SAMPLE = PROJECT / "tests" / "corpus" / "sample.jsonl"
CLASSES = (POLICIES / "classes.yaml").read_text(encoding="utf-8")


def shipped_files() -> dict[str, bytes]:
    return {
        path.relative_to(POLICIES).as_posix(): path.read_bytes()
        for path in sorted(POLICIES.rglob("*.yaml"))
    }


@cache
def shipped() -> Policy:
    return load(shipped_files())


def message(body: str, *, formatted: str = "", kind: Kind = Kind.TEXT, at: int = 0) -> Message:
    return Message(
        event_id=EventId("$event"),
        room=RoomId("!room"),
        sender=UserId("@asha:force.example"),
        sent_at=Ms(at),
        kind=kind,
        type="m.room.message",
        body=body,
        formatted=formatted,
    )
