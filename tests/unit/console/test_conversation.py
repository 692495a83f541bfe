"""A conversation is read whole, from any record on, and handed out; who came and went is named."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.facts import Seen
from bridge.model import Kind, Ms, RoomClass, UserId
from bridge.records.consult import journal_of
from bridge.records.searching import Search, cut_short
from bridge.store import journal
from bridge.store.entries import Filter
from bridge.store.index import Index
from tests.unit.console.conftest import Browser
from tests.unit.console.world import (
    ANNA,
    BEN,
    BOT,
    CHLOE,
    DAN,
    DAY,
    MINUTE,
    Story,
    World,
    _clean,
    found,
    rids,
    shift,
)

TALK = "/rooms/response-a-social/conversation"
ROOM = "/rooms/response-a-social"
#: More than a page holds.
BATCH = 450


def _member(story: Story, by: UserId, what: str, whose: UserId | None) -> None:
    message = story.message(
        by, {"membership": what}, kind=Kind.MEMBERSHIP, type_="m.room.member"
    )  # fmt: skip
    story.tell(Seen(message=replace(message, state_key=whose), cls=RoomClass.SOCIAL))
    story.later(20_000)


def _reply(story: Story, body: str, to: str, **more: Any) -> None:
    relates = {"m.in_reply_to": {"event_id": to}, **more}
    content = {"msgtype": "m.text", "body": body, "m.relates_to": relates}
    message = story.message(BEN, content, name=body)
    story.tell(Seen(message=message, cls=RoomClass.SOCIAL, clean=_clean()))
    story.later(20_000)


def told() -> Story:
    story = shift(Story())
    _member(story, BOT, "invite", None)  # as records were before
    _member(story, BOT, "leave", None)
    _member(story, BOT, "invite", DAN)
    _member(story, DAN, "join", DAN)
    _member(story, BOT, "leave", CHLOE)
    _member(story, ANNA, "leave", ANNA)
    _reply(story, "half past it is", story.events["half"])
    _reply(story, "thanks for the milk", story.events["milk"])
    _reply(story, "so he was stopped", story.events["secure"])
    _reply(story, "what did he say", story.events["conduct"])
    _reply(story, "nobody heard of that", "$never")
    _reply(story, "only in a thread", story.events["half"], is_falling_back=True)
    story.later(DAY)
    # All of an outage in one write, and the message that is sought among the last of it.
    seen = [
        Seen(
            message=story.message(BEN, {"msgtype": "m.text", "body": f"backlog {n};"}),
            cls=RoomClass.SOCIAL,
            clean=_clean(),
        )
        for n in range(BATCH)
    ]
    early = Ms(story.at - 10 * 60 * MINUTE)
    sought = replace(
        story.message(ANNA, {"msgtype": "m.text", "body": "rhubarb"}, name="rhubarb"), sent_at=early
    )
    story.tell(*seen[:400], Seen(message=sought, cls=RoomClass.SOCIAL, clean=_clean()), *seen[400:])
    story.later(MINUTE)
    _reply(story, "about that milk", story.events["milk"])
    return story


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return found(tmp_path_factory.mktemp("talk") / "force", "psd", story=told())


async def reader(browser: Browser, name: str = "curious") -> Browser:
    return await (await browser.sign_in(name).start()).unlock()


async def page(person: Browser, path: str) -> str:
    answer = await person.get(path.replace("&amp;", "&"))
    assert answer.status == 200, await answer.text()
    return str(await answer.text())


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def events(html: str) -> list[str]:
    """What happened in the room, as sentences."""
    return [plain(one) for one in re.findall(r'<p class="bl-event.*?</p>', html)]


def backlog(html: str) -> list[int]:
    return [int(n) for n in re.findall(r"backlog (\d+);", html)]


def replies(html: str) -> dict[str, str]:
    """What is said to be answered, by what is said."""
    parts = re.findall(
        r'bl-said__reply">(.*?)</p>\s*<p class="bl-said__text">(.*?)</p>', html, re.DOTALL
    )
    return {plain(said): plain(to) for to, said in parts}


# Pages


@pytest.mark.parametrize(("start", "way"), [("", "before"), ("?after=0", "after")])
async def test_pages_have_every_message_of_one_write_once(
    browser: Browser, start: str, way: str
) -> None:
    person = await reader(browser)
    pages = [await page(person, TALK + start)]
    while (more := re.search(rf'href="(\?{way}=\d+)"', pages[-1])) is not None:
        pages.append(await page(person, TALK + more[1]))
        assert len(pages) < 10
    if way == "before":
        pages.reverse()
    assert len(pages) > 2
    assert [n for each in pages for n in backlog(each)] == list(range(BATCH))


async def test_from_every_page_there_is_a_way_back_to_the_one_before(browser: Browser) -> None:
    person = await reader(browser)
    newest = await page(person, TALK)
    (back,) = set(re.findall(r'href="(\?before=\d+)"', newest))
    earlier = await page(person, TALK + back)
    (on,) = set(re.findall(r'href="(\?after=\d+)"', earlier))
    assert backlog(await page(person, TALK + on)) == backlog(newest)


def test_numbers_page_a_room_whatever_the_times_are(world: World, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db", world.config.ledger)
    index.follow()
    (room,) = {one.room for one in index.newest(Filter(actions=frozenset({"nudge"})), 5)}
    wanted = Filter(rooms=(room,))
    every = sorted(index.newest(wanted, 10_000), key=lambda one: one.id)
    middle = next(place for place, one in enumerate(every) if one.t == every[place + 5].t)
    number = every[middle].id
    assert index.newest_in(wanted, 10_000, number)[::-1] == every[:middle]
    assert index.oldest_in(wanted, 10_000, number) == every[middle + 1 :]
    assert index.newest_in(wanted, 10_000)[::-1] == every == index.oldest_in(wanted, 10_000)
    assert index.newest_in(wanted, 1, 0) == index.oldest_in(wanted, 1, 10**15) == []
    index.close()


# One record


async def test_a_record_that_was_found_is_marked_in_its_conversation(browser: Browser) -> None:
    person = await reader(browser)
    place = (await person.post("/search", {"words": "rhubarb"})).headers["Location"]
    text = await person.ended(place)
    (way,) = re.findall(r'href="(/rooms/[^"#]*)#r\w+"', text)
    text = await page(person, way)
    marked = re.findall(r"bl-said--marked.*?</article>", text, re.DOTALL)
    assert ["rhubarb" in one for one in marked] == [True]
    shown = backlog(text)
    assert {398, 399, 400, 401} <= set(shown)
    assert shown.index(400) > 80, "it is in the middle"


async def test_the_record_of_a_decision_or_an_edit_leads_to_its_message(browser: Browser) -> None:
    person = await reader(browser)
    opened = browser.world.config
    for rid, words in (
        (next(iter(rids(opened, "verdict"))), "14 Acacia Avenue"),
        (next(iter(rids(opened, "outcome"))), "14 Acacia Avenue"),
        (_rid_of(browser, "tea2"), "Two sugars please"),
        (_rid_of(browser, "tea"), "Two sugars please"),
    ):
        text = await page(person, f"{TALK}?rid={rid}")
        (marked,) = re.findall(r"bl-said--marked.*?</article>", text, re.DOTALL)
        assert words in marked
        assert f'id="r{rid}"' in text or rid != _rid_of(browser, "tea2")


def _rid_of(browser: Browser, name: str) -> str:
    with browser.desk.archive.open() as stack:
        return stack.named([browser.world.events[name]])[browser.world.events[name]].rid


async def test_what_is_no_part_of_a_conversation_is_said_so(browser: Browser) -> None:
    person = await reader(browser)
    there = _rid_of(browser, "secure")
    for rid, status in ((there, 404), ("0" * 32, 400), ("nonsense", 400)):
        answer = await person.get(f"{TALK}?rid={rid}")
        assert answer.status == status
        assert "driver spoken to" not in await answer.text()


async def test_a_matter_that_is_hidden_is_no_record_to_be_led_to(browser: Browser) -> None:
    with browser.desk.archive.open(conduct=True) as stack:
        rid = stack.named([browser.world.events["conduct"]])[browser.world.events["conduct"]].rid
    person = await reader(browser)
    await page(person, "/")  # where it is said that the key is open
    hidden = await (await person.get(f"{TALK}?rid={rid}")).text()
    nothing = await (await person.get(f"{TALK}?rid={'0' * 32}")).text()
    assert hidden.replace(rid, "0" * 32) == nothing


async def test_the_look_says_which_page_and_which_days(browser: Browser) -> None:
    person = await reader(browser)
    rid = _rid_of(browser, "tea")
    await page(person, f"{TALK}?rid={rid}")
    await page(person, f"{TALK}?before=40&from=2026-11-20&to=2026-11-20")
    looks = [one.scope for one in journal.read(journal_of(browser.world.config))]
    assert looks[-2:] == [
        f"'room:Response A social' rid:{rid}",
        "'room:Response A social' from:2026-11-20 to:2026-11-20 before:40",
    ]


# Days


async def test_a_conversation_is_read_by_days(browser: Browser) -> None:
    person = await reader(browser)
    text = await page(person, f"{TALK}?from=2026-11-20&to=2026-11-20")
    assert "bring the milk" in text
    assert "at half past?" not in text
    assert not backlog(text)
    later = await page(person, f"{TALK}?from=2026-11-22")
    assert backlog(later)[0] == 0, "from the morning on"
    (on,) = set(re.findall(r'href="(\?after=\d+&amp;from=2026-11-22)"', later))
    assert backlog(await page(person, TALK + on))[0] == backlog(later)[-1] + 1
    for odd in ("from=yesterday", "from=2026-11-22&to=2026-11-20", "to=" + "9" * 50):
        assert (await person.get(f"{TALK}?{odd}")).status == 400, odd


# Members


async def test_who_was_invited_or_removed_is_named_and_by_whom(browser: Browser) -> None:
    person = await reader(browser)
    said = [one.rpartition(",")[0] for one in events(await page(person, f"{TALK}?after=0"))]
    bot = str(BOT)
    assert said[-6:] == [
        f"{bot} invited somebody whom this older record does not name",
        f"{bot} left, or removed somebody whom this older record does not name",
        f"Dan Murray was invited by {bot}",
        "Dan Murray joined",
        f"Chloe Patel was removed by {bot}",
        "Anna Reid left",
    ]


async def test_the_page_of_a_room_has_whose_membership_it_is(browser: Browser) -> None:
    person = await reader(browser)
    rows = {
        plain(who): plain(what)
        for who, what in re.findall(
            r'<tr><th scope="row"[^>]*>(.*?)</th><td[^>]*>(.*?)</td>', await page(person, ROOM)
        )
    }
    assert re.fullmatch(rf"was invited by {BOT} .*; joined .*", rows["Dan Murray"])
    assert re.fullmatch(rf"joined .*; was removed by {BOT} .*", rows["Chloe Patel"])
    assert re.fullmatch(r"joined .*; left .*", rows["Anna Reid"])
    assert "invited somebody whom" in rows[str(BOT)]


async def test_a_search_and_a_person_have_whose_membership_it_is(browser: Browser) -> None:
    person = await reader(browser)
    place = (await person.post("/search", {"kind": "membership"})).headers["Location"]
    cells = [plain(one) for one in re.findall(r"<td.*?</td>", await page(person, place))]
    assert f"Dan Murray in Response A socialwas invited by {BOT}" in cells
    form = {"person": str(BOT), "basis": "SAR/1"}
    answer = await person.post("/subject", form)
    text = await page(person, answer.headers["Location"])
    said = [plain(one) for one in re.findall(r'bl-hit__text">.*?</p>', text)]
    assert any(one.endswith(f"Dan Murray was invited by {BOT}") for one in said)
    assert "names Dan Murray" in text


# Replies


async def test_a_reply_shows_what_it_answers(browser: Browser) -> None:
    person = await reader(browser)
    said = replies(await page(person, f"{TALK}?after=0"))
    assert said["half past it is"] == (
        "In reply to Chloe Patel: Right, chips at the usual place at half past?"
    )
    assert said["thanks for the milk"].startswith("In reply to Anna Reid: Morning all.")
    assert "only in a thread" not in said


async def test_a_reply_shows_what_it_answers_on_another_page(browser: Browser) -> None:
    person = await reader(browser)
    text = await page(person, TALK)
    assert replies(text)["about that milk"].startswith("In reply to Anna Reid: Morning all.")
    (way,) = re.findall(r'bl-said__reply">In reply to <a[^>]*href="(\?rid=\w+)#r', text)
    marked = re.findall(r"bl-said--marked.*?</article>", await page(person, TALK + way), re.DOTALL)
    assert ["bring the milk" in one for one in marked] == [True]


async def test_a_reply_quotes_nothing_beyond_the_days_of_the_look(browser: Browser) -> None:
    person = await reader(browser)
    text = await page(person, f"{TALK}?from=2026-11-22")
    text = await page(person, TALK + _last(text))
    text = await page(person, TALK + _last(text))
    assert replies(text)["about that milk"] == "In reply to an earlier message"
    assert f'href="?rid={_rid_of(browser, "milk")}#r' in text


def _last(html: str) -> str:
    return str(re.findall(r'href="(\?after=[^"]+)"', html)[-1])


async def test_a_reply_quotes_no_other_room_and_no_hidden_matter(browser: Browser) -> None:
    person = await reader(browser)
    text = await page(person, f"{TALK}?after=0")
    said = replies(text)
    for words in ("so he was stopped", "what did he say", "nobody heard of that"):
        assert said[words] == "In reply to an earlier message"
    assert "driver spoken to" not in text
    assert "shut her up" not in text
    assert _rid_of(browser, "secure") not in text


# Handing out


async def hand_out(person: Browser, form: dict[str, str]) -> tuple[dict[str, Any], list[Any]]:
    answer = await person.post(f"{ROOM}/export", form)
    raw = await answer.read()
    assert answer.status == 200, raw
    assert hashlib.sha256(raw).hexdigest() == answer.headers["X-Content-SHA256"]
    first, body = raw.split(b"\n", 1)
    assert json.loads(first)["sha256_of_lines"] == hashlib.sha256(body).hexdigest()
    return json.loads(first), [json.loads(line) for line in body.splitlines()]


async def test_a_conversation_is_handed_out_with_what_was_done(browser: Browser) -> None:
    person = await reader(browser)
    assert f'action="{ROOM}/export"' in await page(person, TALK)
    about, lines = await hand_out(person, {"recipient": "Crown Court"})
    opened = " ".join(line["opened"] or "" for line in lines)
    assert all(f"backlog {n};" in opened for n in range(BATCH))
    kinds = {json.loads(line["header"])["kind"] for line in lines}
    assert {"message", "event", "membership", "verdict", "debt", "outcome"} <= kinds
    assert "media" not in kinds
    assert "shut her up" not in opened
    assert "driver spoken to" not in opened
    assert about["records"] == len(lines)
    assert about["scope"] == "'room:Response A social'"
    assert not about["cut_short"]
    numbers = [(line["log"], line["index"]) for line in lines]
    assert numbers == sorted(set(numbers))
    last = list(journal.read(journal_of(browser.world.config)))[-1]
    assert (last.category, last.recipient, last.count) == ("disclosure", "Crown Court", len(lines))
    assert last.scope == "'room:Response A social'"


async def test_a_conversation_is_handed_out_as_its_page_was_narrowed(browser: Browser) -> None:
    person = await reader(browser)
    text = await page(person, f"{TALK}?from=2026-11-20&to=2026-11-20")
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    assert form == {"from": "2026-11-20", "to": "2026-11-20"}
    about, lines = await hand_out(person, {**form, "recipient": "Crown Court"})
    opened = " ".join(line["opened"] or "" for line in lines)
    assert "bring the milk" in opened
    assert "at half past?" not in opened
    assert about["scope"] == "'room:Response A social' from:2026-11-20 to:2026-11-20"


async def test_a_conversation_is_handed_out_to_nobody_unnamed_and_by_no_auditor(
    browser: Browser,
) -> None:
    person = await reader(browser)
    before = len(list(journal.read(journal_of(browser.world.config))))
    assert (await person.post(f"{ROOM}/export", {"recipient": " "})).status == 400
    assert (await person.post("/rooms/nowhere/export", {"recipient": "x"})).status == 404
    assert len(list(journal.read(journal_of(browser.world.config)))) == before
    other = await reader(browser, "acustodian")
    assert "/export" not in await page(other, TALK)
    assert (await other.post(f"{ROOM}/export", {"recipient": "x"})).status == 403


async def test_a_conversation_that_is_too_long_for_a_file_is_asked_for_in_parts(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.console.pages.handing.MOST", 100)
    person = await reader(browser)
    answer = await person.post(f"{ROOM}/export", {"recipient": "Crown Court"})
    assert answer.status == 400
    assert "in parts" in await answer.text()
    form = {"from": "2026-11-20", "to": "2026-11-20", "recipient": "Crown Court"}
    _, lines = await hand_out(person, form)
    assert 20 < len(lines) <= 100


async def test_a_search_that_was_cut_off_says_so_on_the_page_and_in_the_file(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.records.searching.MOST", 7)
    person = await reader(browser)
    for words, cut in (("backlog", True), ("rhubarb", False)):
        place = (await person.post("/search", {"words": words})).headers["Location"]
        text = await person.ended(place)
        assert ("These may not be all" in text) is cut
        answer = await person.post(f"{place}/export", {"recipient": "Crown Court"})
        first = json.loads((await answer.read()).split(b"\n", 1)[0])
        assert ("limit of 7 messages" in first["cut_short"]) is cut
        assert bool(first["cut_short"]) is cut


def test_what_is_shown_of_a_search_does_not_change_while_a_page_is_made_of_it() -> None:
    search = Search(id="", scope="", wanted=Filter(), words="milk", state="running")
    shown = search.now()
    search.hits.append(cast("Any", "one more"))
    search.state = "done"
    assert (shown.state, shown.hits) == ("running", [])
    shown.stop()
    assert search._stop.is_set()  # it is the same search
    assert (search.now().state, len(search.now().hits)) == ("done", 1)


@pytest.mark.parametrize("state", ["stopped", "running", "failed"])
def test_a_search_that_did_not_end_says_why_there_may_be_more(state: str) -> None:
    search = Search(id="", scope="", wanted=Filter(), words="milk", state=state, closed=3)
    assert "every record" in cut_short(search)
    assert "3 records did not open" in cut_short(search)
    search.state = "done"
    assert cut_short(search) == "3 records did not open, and were not searched"
    search.words = ""
    assert not cut_short(search)
