"""The index finds what the ledger has, follows it, and is made anew for another one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.records import archive as archives
from bridge.records.archive import Archive
from bridge.store.entries import Filter
from bridge.store.index import Index
from bridge.store.reader import SqliteReader
from tests.unit.console.world import ANNA, BEGAN, MINUTE, Story, World, found, rids


def index_of(world: World, folder: Path) -> Index:
    index = Index(folder / "index.db", world.config.ledger)
    index.follow()
    return index


def test_every_record_is_found_by_its_name(world: World, tmp_path: Path) -> None:
    index = index_of(world, tmp_path)
    every = list(rids(world.config, "message"))
    assert set(index.get(every)) == set(every)
    assert index.get(["nothing", "0" * 32]) == {}
    index.close()


def test_a_filter_finds_what_it_says_newest_first(world: World, tmp_path: Path) -> None:
    index = index_of(world, tmp_path)
    moved = Filter(kinds=frozenset({"verdict"}), actions=frozenset({"redirect"}))
    found_ = index.newest(moved, 10)
    assert [one.facet.rule for one in found_] == ["ops.custody", "ops.address", "veh.vrm"]
    assert index.count(moved) == 3
    assert index.newest(moved, 1, 1) == found_[1:2]
    early = Filter(kinds=frozenset({"verdict"}), end=BEGAN + 30 * MINUTE)
    assert [one.facet.rule for one in index.newest(early, 10)] == ["ops.place", "veh.vrm"]
    words = Filter(kinds=frozenset({"verdict"}), whats=frozenset({"professional-standards"}))
    assert [one.facet.rule for one in index.newest(words, 10)] == ["con.grievance"]
    without = Filter(kinds=frozenset({"verdict"}), without=frozenset({"appeals"}))
    assert "ops.custody" not in {one.facet.rule for one in index.newest(without, 10)}
    index.close()


def test_a_stream_has_every_record_once_and_in_order(world: World, tmp_path: Path) -> None:
    index = index_of(world, tmp_path)
    streamed = list(index.stream(Filter()))
    reader = SqliteReader(world.config.ledger)
    assert len({one.id for one in streamed}) == len(streamed) == reader.size()
    assert [one.id for one in streamed] == sorted((one.id for one in streamed), reverse=True)
    room = streamed[0].room or next(one.room for one in streamed if one.room)
    tagged = list(index.stream(Filter(rooms=(room,))))
    assert {one.id for one in tagged} == {one.id for one in streamed if one.room == room}
    reader.close()
    index.close()


def test_what_refers_to_a_record_is_found(world: World, tmp_path: Path) -> None:
    index = index_of(world, tmp_path)
    (verdict,) = index.newest(Filter(rules=frozenset({"veh.vrm"})), 10)
    about = index.about([verdict.ref])
    assert {"verdict", "debt"} <= {one.facet.kind for one in about}
    assert index.removals(0, 10)
    index.close()


def test_an_index_of_another_ledger_is_made_anew(world: World, tmp_path: Path) -> None:
    index_of(world, tmp_path).close()
    other = found(tmp_path / "other", "psd", reviewers=False, story=_short())
    fresh = Index(tmp_path / "index.db", other.config.ledger)
    assert fresh.follow() == fresh.count(Filter())
    assert not fresh.newest(Filter(rules=frozenset({"veh.vrm"})), 1)
    fresh.close()


def test_an_archive_sees_what_was_just_recorded(tmp_path: Path) -> None:
    world = found(tmp_path / "force", "psd", reviewers=False, story=_short())
    archive = Archive(world.config, tmp_path / "index.db")
    with archive.open() as stack:
        before = stack.index.count(Filter())
    assert before == SqliteReader(world.config.ledger).size()


def test_of_two_who_come_first_one_makes_the_index_and_the_other_waits(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the one would clear away what the other has just taken in."""
    met, together = threading.Barrier(2), list[str]()

    class Meeting(Index):
        def __init__(self, *given: Any, **more: Any) -> None:
            with suppress(threading.BrokenBarrierError):
                met.wait(1)
                together.append(threading.current_thread().name)
            super().__init__(*given, **more)

    monkeypatch.setattr(archives, "Index", Meeting)
    archive = Archive(world.config, tmp_path / "index.db")

    def count(_: int) -> int:
        with archive.open(conduct=True) as stack:
            return stack.index.count(Filter())

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(count, range(2))
    assert together == []
    assert one == other > 0


def _short() -> Story:
    story = Story()
    story.say(ANNA, "milk")
    return story
