"""Room keys that are read when they are needed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import vodozemac
from nio.crypto import InboundGroupSession, OlmAccount
from nio.store import MegolmInboundSessions, SqliteStore

from bridge.matrix.recent import Recent
from bridge.matrix.sessions import LampStore, RoomKeyStore
from tests.unit.matrix.world import PICKLE_KEY, ROOM

ME = ("@bot:force.example", "BOT")


def fill(folder: Path, count: int) -> list[str]:
    """Make a store as stock nio left it, with *count* room keys; return their session ids."""
    store = SqliteStore(*ME, str(folder), PICKLE_KEY)
    account = OlmAccount()
    store.save_account(account)
    ids: list[str] = []
    with store.database.bind_ctx(store.models), store.database.atomic():
        owner = store._get_account()
        rows = []
        for _ in range(count):
            key = vodozemac.GroupSession().session_key.to_base64()
            session = InboundGroupSession(key, "fp", "curve", ROOM)
            ids.append(session.id)
            rows.append({
                "sender_key": "curve", "account": owner, "fp_key": "fp", "room_id": ROOM,
                "session": session.pickle(PICKLE_KEY), "session_id": session.id,
            })  # fmt: skip
        for start in range(0, count, 500):
            MegolmInboundSessions.insert_many(rows[start : start + 500]).execute()
    store.database.close()
    return ids


def opening_s(kind: type[SqliteStore], folder: Path) -> float:
    """Open a store and load its room keys; return how long that took."""
    began = time.perf_counter()
    store = kind(*ME, str(folder), PICKLE_KEY)
    store.load_account()
    store.load_inbound_group_sessions()
    took = time.perf_counter() - began
    store.database.close()
    return took


def resident_mib() -> float:
    """Return how much memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def keys(folder: Path) -> RoomKeyStore:
    return LampStore(*ME, str(folder), PICKLE_KEY).load_inbound_group_sessions()


def test_a_store_of_stock_nio_is_taken_over_and_opens_without_a_key_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them is what takes stock nio its time."""
    read: list[bytes] = []
    real = InboundGroupSession.from_pickle

    def counted(pickle: bytes, *more: Any) -> InboundGroupSession:
        read.append(pickle)
        return real(pickle, *more)

    monkeypatch.setattr(InboundGroupSession, "from_pickle", counted)
    ids = fill(tmp_path, 5_000)
    opening_s(SqliteStore, tmp_path)
    assert len(read) == 5_000
    read.clear()
    for _ in ("taking over", "later"):
        opening_s(LampStore, tmp_path)
    found = keys(tmp_path)
    assert not read
    for session_id in (ids[0], ids[-1]):
        (session,) = found.find(ROOM, session_id)
        assert (session.id, session.sender_key, session.ed25519) == (session_id, "curve", "fp")
    assert len(read) == 2, "what is asked for is read, and nothing else"
    assert len(list(found)) == 5_000
    assert not found.find("!other", ids[0])


@pytest.mark.slow
def test_of_a_hundred_thousand_room_keys_few_are_held_in_memory(tmp_path: Path) -> None:
    ids = fill(tmp_path, 100_000)
    taking_over = opening_s(LampStore, tmp_path)
    before = resident_mib()
    opening = opening_s(LampStore, tmp_path)
    found = keys(tmp_path)
    for session_id in ids[:20_000]:
        assert found.find(ROOM, session_id)
    grown_mib = resident_mib() - before
    print(f"{taking_over=:.2f} s {opening=:.3f} s {grown_mib=:.1f}")
    assert found.opened == 2_000
    assert grown_mib < 50


def made() -> tuple[vodozemac.GroupSession, str]:
    group = vodozemac.GroupSession()
    return group, group.session_key.to_base64()


def test_a_copy_that_begins_later_does_not_take_the_place_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 0)
    store = keys(tmp_path)
    group, first = made()
    group.encrypt(b"x")
    later = group.session_key.to_base64()
    assert store.add(InboundGroupSession(later, "fp", "curve", ROOM))
    assert store.find(ROOM, group.session_id)[0].first_known_index == 1
    assert store.add(InboundGroupSession(first, "fp", "curve", ROOM))
    assert not store.add(InboundGroupSession(later, "fp", "curve", ROOM))
    (kept,) = keys(tmp_path).find(ROOM, group.session_id)
    assert kept.first_known_index == 0


def test_the_makers_copy_is_found_however_many_others_made_up(tmp_path: Path) -> None:
    fill(tmp_path, 0)
    store = keys(tmp_path)
    group, key = made()
    for n in range(20):
        store.add(InboundGroupSession(key, "fp", f"evil{n}", ROOM))
    store.add(InboundGroupSession(key, "fp", "true", ROOM))
    found = store.find(ROOM, group.session_id, frozenset({"true"}))
    assert found[0].sender_key == "true"
    assert len(found) == 4
    direct = InboundGroupSession(key, "fp", "true", ROOM, ["@x:y"])
    store.add(direct)
    first, second = store.find(ROOM, group.session_id, frozenset({"true"}))[:2]
    assert (first.forwarding_chain, second.forwarding_chain) == ([], ["@x:y"])
    mine = store.get(ROOM, "true", group.session_id)
    assert mine is not None
    assert mine.sender_key == "true"
    assert store.get(ROOM, "nobody", group.session_id) is None


def test_the_keys_of_a_room_are_forgotten_and_no_others(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    store = keys(tmp_path)
    group, key = made()
    store.add(InboundGroupSession(key, "fp", "curve", "!other"))
    store.find("!other", group.session_id)
    assert store.forget("!other") == 1
    assert not store.find("!other", group.session_id)
    assert not keys(tmp_path).find("!other", group.session_id)
    assert len(list(store)) == 3


def test_what_was_asked_for_least_recently_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"], recent["b"] = 1, 2
    assert recent.recall("a") == 1
    recent["c"] = 3
    assert list(recent) == ["a", "c"]
    assert recent.recall("b") is None


def test_keys_of_sessions_that_are_forgotten_are_gone_from_the_disk_too(tmp_path: Path) -> None:
    ids = fill(tmp_path, 5)
    found = keys(tmp_path)
    assert found.find(ROOM, ids[0]), "read once, and remembered"
    assert found.forget_sessions(ROOM, ids[:2]) == 2
    assert found.forget_sessions("!other", ids[2:]) == 0
    assert not found.find(ROOM, ids[0])
    assert {session.id for session in keys(tmp_path)} == set(ids[2:])
