"""Looking through many records opens what opening them one by one does, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.facts import Decided
from bridge.ledger.opening import Reader
from bridge.ledger.quick import half_of, known_first, open_quickly, read_head
from bridge.ledger.record import half
from bridge.model import Action, Rid, RoomClass
from bridge.records import searching
from bridge.records.archive import Archive, Sight, Stack
from bridge.records.custody import names_of
from bridge.records.safe import open_safe
from bridge.records.searching import SAID, Search, numbers_judged
from bridge.store.entries import Filter
from bridge.store.index import HOUR_MS
from bridge.store.reader import SqliteReader
from bridge.verify.opening import bound, place_of
from tests.unit.console.conftest import AGENT, Browser
from tests.unit.console.world import (
    ANNA,
    BEGAN,
    BEN,
    CHLOE,
    DAY,
    HOUR,
    SECURE,
    SOCIAL,
    Story,
    World,
    found,
    verdict,
)

VERDICTS = Filter(kinds=frozenset({"verdict"}))


@pytest.fixture
def stack(world: World, tmp_path: Path) -> Iterator[Stack]:
    with Archive(world.config, tmp_path / "index.db").open(conduct=True) as found:
        yield found


@pytest.fixture
def sight(world: World, stack: Stack) -> Sight:
    vault = world.folder / "vaults" / "psd"
    custodian = open_safe(vault, world.share("psd"), world.passphrase("psd")).custodian
    made = Sight(Reader(world.config.origin, names_of(world.config), [custodian]))
    made.prepare(stack)
    return made


def test_many_at_once_open_as_each_by_itself(stack: Stack, sight: Sight) -> None:
    every = list(stack.index.stream(Filter()))
    quickly = dict(sight.insides(stack, [one.id for one in every]))
    one_by_one = {one.entry.id: one.inside for one in sight.open(stack, every)}
    assert quickly == one_by_one
    assert sum(inside is not None for inside in quickly.values()) > 50


def test_the_order_of_the_numbers_is_kept_however_far_apart_they_are(
    stack: Stack, sight: Sight
) -> None:
    numbers = list(stack.index.numbers(Filter()))
    for chosen in (numbers, numbers[::-1], numbers[::7], numbers[:1] + numbers[-1:], []):
        assert [number for number, _ in sight.insides(stack, chosen)] == chosen
    assert {one.id for one in stack.index.numbered(numbers[:9]).values()} == set(numbers[:9])


def test_what_was_not_released_does_not_open(stack: Stack, sight: Sight) -> None:
    every = list(stack.index.stream(Filter(kinds=SAID)))
    sight.only = frozenset({every[3].rid})
    opened = dict(sight.insides(stack, [one.id for one in every]))
    assert [number for number, inside in opened.items() if inside] == [every[3].id]


def test_a_header_without_what_came_later_is_what_its_body_is_bound_to(world: World) -> None:
    reader = SqliteReader(world.config.ledger)
    rows = [row for row in reader.rows() if b'"kc":' in row.header]
    assert len(rows) > 50
    for row in rows:
        header = msgspec.json.decode(row.header, type=dict[str, str | int])
        assert place_of("o") + known_first(row.header) == bound("o", header)
    reader.close()


def test_a_half_is_the_same_half() -> None:
    for _ in range(50):
        secret, rid = os.urandom(32), os.urandom(16)
        assert half_of(secret)(rid) == half(secret, Rid(rid.hex()))


def test_nothing_opens_that_was_changed(stack: Stack, sight: Sight, world: World) -> None:
    (entry,) = stack.index.newest(Filter(kinds=SAID), 1)
    row = stack.rows([entry])[entry.id]
    head, place = read_head(row.header), place_of(world.config.origin)
    list(sight.open(stack, [entry]))
    assert isinstance(sight.reader, Reader)
    halves = sight.reader.quick(head.epoch)
    assert halves is not None
    body = row.body or b""
    assert open_quickly(place, head, row.header, body, halves)
    changed = body[:40] + bytes([body[40] ^ 1]) + body[41:]
    assert open_quickly(place, head, row.header, changed, halves) is None
    assert open_quickly(place, head, row.header, body[:5], halves) is None
    assert open_quickly(place_of("another"), head, row.header, body, halves) is None
    assert open_quickly(place, head, row.header, body, [half_of(b"x" * 32)]) is None
    strange = row.header.replace(b'"class":"', b'"class":"x')
    assert open_quickly(place, head, strange, body, halves) is None


def looked_for(stack: Stack, sight: Sight, words: str, wanted: Filter) -> Search:
    one = Search(id="x", scope="", wanted=wanted, words=words)
    one.run(stack, sight)
    return one


def test_a_search_finds_words_however_they_are_written(stack: Stack, sight: Sight) -> None:
    every = Filter(kinds=SAID)
    for words, count in (
        ("MILL lane", 2),
        ("m\u0131ll", 0),
        ("\uff2d\uff49\uff4c\uff4b", 1),
        ("tea run", 2),
        ("מיצר", 1),
    ):
        assert len(looked_for(stack, sight, words, every).hits) == count, words
    one = looked_for(stack, sight, "e", every)
    assert one.state == "done"
    assert one.covered == stack.index.count(every)
    assert [hit.at for hit in one.hits] == sorted((hit.at for hit in one.hits), reverse=True)


def test_a_search_by_person_and_words_looks_into_theirs_alone(stack: Stack, sight: Sight) -> None:
    theirs = Filter(kinds=SAID, senders=sight.tags("sender", BEN))
    one = looked_for(stack, sight, "e", theirs)
    assert {hit.sender for hit in one.hits} == {BEN}
    assert 0 < one.covered < stack.index.count(Filter(kinds=SAID))


def test_a_search_that_is_stopped_or_full_says_so(
    stack: Stack, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "CHUNK", 2)
    monkeypatch.setattr(searching, "MOST", 1)
    assert looked_for(stack, sight, "e", Filter(kinds=SAID)).state == "full"
    one = Search(id="x", scope="", wanted=Filter(kinds=SAID), words="zzz")
    one.stop()
    one.run(stack, sight)
    assert (one.state, one.covered) == ("stopped", 2)


def test_how_many_there_are_to_look_into_is_how_many_are_looked_into(
    stack: Stack, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "CHUNK", 3)
    theirs = sight.tags("sender", BEN)
    for wanted in (
        Filter(kinds=SAID),
        Filter(kinds=SAID, start=BEGAN - BEGAN % HOUR_MS + HOUR_MS),
        Filter(kinds=SAID, start=BEGAN + 61_001, end=BEGAN + 2 * HOUR + 7),
        Filter(kinds=SAID, senders=theirs),
        Filter(kinds=SAID, rooms=sight.tags("room", SECURE)),
        Filter(kinds=SAID, among=(Filter(senders=theirs), Filter(start=BEGAN + HOUR))),
        Filter(kinds=SAID, start=BEGAN + 400 * DAY),
    ):
        one = looked_for(stack, sight, "zzz", wanted)
        assert (one.total or 0) == one.covered + one.closed, wanted
        assert one.covered == len(stack.index.newest(wanted, 1000))


def test_what_was_not_released_counts_among_what_there_is_to_look_into(
    stack: Stack, sight: Sight
) -> None:
    every = list(stack.index.stream(Filter(kinds=SAID)))
    sight.only = frozenset({every[3].rid})
    one = looked_for(stack, sight, "zzz", Filter(kinds=SAID))
    assert (one.covered, one.closed, one.total) == (1, len(every) - 1, len(every))


def test_nothing_is_counted_for_whoever_has_stopped(stack: Stack, sight: Sight) -> None:
    one = Search(id="x", scope="", wanted=Filter(kinds=SAID, start=BEGAN + 1), words="zzz")
    one.stop()
    one.run(stack, sight)
    assert (one.state, one.total) == ("stopped", None)


def judged_twice() -> Story:
    """One message that was judged twice, one of them on the next day, and one of another day."""
    story = Story()
    nudge = verdict(Action.NUDGE, "ops.place", "a place", "Mill Lane")
    story.judge(BEN, "Mill Lane again, at midnight", nudge, name="first")
    story.judge(CHLOE, "Mill Lane, and nobody minds", verdict(Action.NUDGE, "veh.vrm", "x"),
                name="other")  # fmt: skip
    message = story.told[0][1][1]
    assert isinstance(message, Decided)
    story.later(20 * HOUR)
    story.tell(Decided(message=message.message, cls=RoomClass.SOCIAL, verdict=nudge))
    story.judge(ANNA, "Mill Lane the day after", nudge, name="second")
    return story


def test_words_are_looked_for_in_what_verdicts_are_about_once_each(tmp_path: Path) -> None:
    world = found(tmp_path / "force", "psd", story=judged_twice())
    vault = world.folder / "vaults" / "psd"
    custodian = open_safe(vault, world.share("psd"), world.passphrase("psd")).custodian
    sight = Sight(Reader(world.config.origin, names_of(world.config), [custodian]))
    with Archive(world.config, tmp_path / "index.db").open() as stack:
        sight.prepare(stack)
        places = Filter(kinds=VERDICTS.kinds, rules=frozenset({"ops.place"}))
        said = Filter(kinds=SAID)
        assert len(list(stack.index.stream(places))) == 3
        assert len(list(numbers_judged(stack, places, said))) == 2
        for wanted, hits, covered in (
            (said, ["second", "first"], 2),
            (Filter(kinds=SAID, end=BEGAN + HOUR), ["first"], 1),
            (Filter(kinds=SAID, start=BEGAN + HOUR), ["second"], 1),
            (Filter(kinds=SAID, senders=sight.tags("sender", BEN)), ["first"], 1),
            (Filter(kinds=SAID, senders=sight.tags("sender", CHLOE)), [], 0),
            (Filter(kinds=SAID, among=(Filter(senders=sight.tags("sender", ANNA)),)),
             ["second"], 1),
            (Filter(kinds=SAID, rooms=sight.tags("room", SOCIAL)), ["second", "first"], 2),
        ):  # fmt: skip
            one = Search(id="x", scope="", wanted=wanted, judged=places, words="mill lane")
            one.run(stack, sight)
            texts = {"first": " again, at midnight", "second": " the day after"}
            assert [hit.after for hit in one.hits] == [texts[name] for name in hits]
            assert (one.covered, one.total or 0) == (covered, covered)


async def shown(person: Browser, form: dict[str, str]) -> str:
    """The page of a search when it is over."""
    answer = await person.post("/search", form)
    assert answer.status == 303, await answer.text()
    return await person.ended(answer.headers["Location"])


@pytest.mark.parametrize(
    ("more", "hits", "records"),
    [
        ({"rule": "ops.place"}, 1, 1),
        ({"rule": "ops.address"}, 1, 1),
        ({"action": "redirect"}, 1, 3),
        ({"action": "redirect", "rule": "ops.place"}, 0, 0),
        ({"action": "redirect", "person": "Anna Reid"}, 1, 1),
        ({"action": "redirect", "person": "Ben Hughes"}, 0, 2),
        ({"action": "nudge", "room": "response-a-social", "class": "social"}, 1, 1),
        ({"action": "nudge", "room": "response-a-secure"}, 0, 0),
        ({"action": "redirect", "to": "2026-11-20"}, 0, 1),
        ({"action": "redirect", "from": "2026-11-21"}, 1, 2),
    ],
)
async def test_words_are_found_together_with_a_rule_or_what_happened(
    browser: Browser, more: dict[str, str], hits: int, records: int
) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    page = await shown(person, {"words": "mill LANE", **more})
    assert f"<strong>{hits} found</strong> in {records} records" in page


async def test_no_rule_leads_to_what_only_professional_standards_may_know(
    browser: Browser,
) -> None:
    person = await (await browser.sign_in("curious").start()).unlock()
    page = await shown(person, {"words": "sergeant", "rule": "con.grievance"})
    assert "<strong>0 found</strong> in 0 records" in page


async def test_a_search_that_goes_on_says_how_far_it_is_and_how_far_it_goes(
    browser: Browser,
) -> None:
    person = await (await browser.sign_in("acustodian").start()).unlock()
    session = browser.desk.sessions.get(person.token, AGENT)
    assert session is not None
    assert session.visit is not None
    one = Search(id="on", scope="", wanted=Filter(), words="milk", covered=12_000, closed=500)
    session.visit.searches["on"] = one
    one.state = "running"
    before = await (await person.get("/search/on")).text()
    assert "12,000 records looked into so far" in before
    assert "<progress" not in before, "nobody knows yet how many there are"
    one.total = 905_831
    page = await (await person.get("/search/on")).text()
    assert "12,000 of 905,831 records looked into" in page
    assert "500 records did not open" in page
    assert re.search(r'<progress[^>]* max="905831" value="12500" aria-label="[^"]+"', page)
    assert '<noscript><meta http-equiv="refresh"' in page
    assert 'role="status" data-live-said' in page
    one.state = "stopped"
    page = await (await person.get("/search/on")).text()
    assert "12,000 of 905,831 records were looked into" in page
    assert "<progress" not in page
