"""Room upgrades are followed only when both rooms say so."""

from __future__ import annotations

from bridge.matrix.lineage import Lineage
from bridge.model import RoomId

OLD, NEW, NEWER = RoomId("!old"), RoomId("!new"), RoomId("!newer")


def tombstone(to: object) -> dict[str, object]:
    return {"type": "m.room.tombstone", "state_key": "", "content": {"replacement_room": to}}


def create(before: object) -> dict[str, object]:
    content = {"predecessor": {"room_id": before}}
    return {"type": "m.room.create", "state_key": "", "content": content}


def test_both_rooms_must_name_each_other() -> None:
    line = Lineage()
    line.take(NEW, create(OLD))
    assert line.origin(NEW) == NEW, "anybody can claim a predecessor"
    assert line.take(OLD, tombstone(NEW)) == NEW
    assert line.origin(NEW) == OLD


def test_a_line_of_upgrades_leads_to_its_first_room() -> None:
    line = Lineage()
    for before, after in ((OLD, NEW), (NEW, NEWER)):
        line.take(before, tombstone(after))
        line.take(after, create(before))
    assert line.origin(NEWER) == OLD


def test_a_circle_ends() -> None:
    line = Lineage()
    for before, after in ((OLD, NEW), (NEW, OLD)):
        line.take(before, tombstone(after))
        line.take(after, create(before))
    assert line.origin(OLD) in {OLD, NEW}


def test_a_tombstone_is_news_once_and_nonsense_is_none() -> None:
    line = Lineage()
    assert line.take(OLD, tombstone(NEW)) == NEW
    assert line.take(OLD, tombstone(NEW)) is None
    for nonsense in (7, None, "", "\ud800", {"a": 1}, "x" * 1000):
        assert line.take(OLD, tombstone(nonsense)) is None
    assert line.take(OLD, {"type": "m.room.tombstone", "content": "nonsense"}) is None
    assert line.take(OLD, {"type": "m.room.create", "content": {"predecessor": 7}}) is None
