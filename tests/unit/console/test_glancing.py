"""Home on quiet days and busy ones, what each room's record lacks, and what holds cover."""

from __future__ import annotations

import re

import pytest

from bridge.facts import Adjudicated, Care, Decision, Drifted, Held, Missed, Released, Seen
from bridge.ledger.record import new_rid
from bridge.model import Action, Gap, Kind, Ms, Rid, RoomClass
from bridge.records.consult import journal_of
from bridge.running.control import Answer, Order, listen
from bridge.store import journal
from tests.unit.console.conftest import NOW, Browser
from tests.unit.console.world import ANNA, BEN, SECURE, SOCIAL, Story, World, found

DAY = 86_400_000
HOLD = Rid("a" * 32)


def story() -> Story:
    made = Story()
    made.say(ANNA, "stopped at 10:40, driver spoken to", room=SECURE)
    made.say(BEN, "milk", room=SOCIAL)
    dark = made.message(BEN, {"algorithm": "m.megolm.v1.aes-sha2"}, kind=Kind.UNREADABLE,
                        type_="m.room.encrypted", doubt="its key never came")  # fmt: skip
    ruled = [
        Adjudicated(record=Rid("b" * 32), rule=f"veh.r{n}", action=Action.REDIRECT,
                    decision=Decision.RESTORED, by="sgt")
        for n in range(7)
    ]  # fmt: skip
    made.tell(
        Seen(message=dark, cls=RoomClass.SOCIAL),
        Missed(gap=Gap(room=SOCIAL, reason="the server had forgotten it")),
        Held(rid=HOLD, scope=f"room:{SOCIAL}", case="C/1", by="Gwen Price", reason="why not"),
        Drifted(rid=new_rid(), key="review", room=None, care=Care.LOCKING, sort="power", text="a"),
        Drifted(rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.CALLED, sort="door",
                text="b"),
        Drifted(rid=new_rid(), key="response-a-social", room=SOCIAL, care=Care.MENDING, sort="door",
                text="c"),
        *ruled,
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A force with a room that drifts, a hold, and something that was not read."""
    folder = tmp_path_factory.mktemp("glance") / "force"
    return found(folder, "psd", story=story(), certified=(2026, 2033))


async def shown(person: Browser, path: str) -> str:
    answer = await person.get(path)
    text = await answer.text()
    assert answer.status == 200, text
    return text


def cards(text: str) -> dict[str, int]:
    found = re.findall(r'bl-card__number">([\d,]+)</span><a[^>]*>([^<]*)', text)
    return {what: int(count.replace(",", "")) for count, what in found}


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text))


async def test_home_is_shown_after_many_quiet_days(browser: Browser) -> None:
    browser.clock.at = Ms(NOW + 30 * DAY)
    text = await shown(await browser.sign_in("areader").start(), "/")
    assert text.count("None in these days") == 5


async def test_home_has_what_drifts_what_waits_and_what_was_not_read(browser: Browser) -> None:
    person = await browser.sign_in("areader").start()
    shown_now = cards(await shown(person, "/"))
    assert shown_now["room that differs from the register and was not put right"] == 1
    assert shown_now["event of the last 14 days that could not be read"] == 1
    reviewer = await browser.sign_in("pstandards").start()
    assert "that differs from" not in await shown(reviewer, "/")


async def test_home_counts_as_due_what_retention_does(browser: Browser) -> None:
    """What nobody has decided about is not destroyed, and waits on the page of disposals."""
    browser.clock.at = Ms(NOW + 2_700 * DAY)
    person = await browser.sign_in("acustodian").start()
    home = cards(await shown(person, "/"))
    kept = re.findall(r"(\d+) buckets? (?:is|are) due", await shown(person, "/retention"))
    assert [home.get("buckets due to be destroyed", 0)] == [int(one) for one in kept or ["0"]]
    waits = home["things that are due and wait for a decision"]
    assert waits > 0
    assert "operational-2026-11" in await shown(person, "/disposals")


async def test_what_people_put_back_is_a_chart_by_rule_with_its_table(browser: Browser) -> None:
    text = await shown(await browser.sign_in("areader").start(), "/")
    chart = text.partition("Put back by people, by rule")[2].partition("</figure>")[0]
    assert "<rect" in chart
    assert "veh.r0" in chart
    assert "other rules" in chart, "no more than a chart can tell apart"
    assert "veh.r6" not in chart
    assert "<table" in chart


async def test_a_room_says_how_much_of_it_was_read(browser: Browser) -> None:
    person = await browser.sign_in("areader").start()
    closed = plain(await shown(person, "/rooms/response-a-social"))
    assert "once a key is unlocked" in closed.partition("What was read of it")[2]
    person = await (await browser.sign_in("curious").start()).unlock()
    text = plain(await shown(person, "/rooms/response-a-social"))
    part = text.partition("What was read of it")[2].partition("Members")[0]
    assert re.findall(r"\d+", part) == ["1", "1", "1"]
    rows = (await shown(person, "/rooms")).split("<tr>")
    line = next(plain(one) for one in rows if "/rooms/response-a-social" in one)
    assert "1 not read, 1 gap" in line
    line = next(plain(one) for one in rows if "/rooms/response-a-secure" in one)
    assert "nothing missing" in line
    said = [one.what for one in journal.read(journal_of(browser.world.config))]
    assert "counted what is missing of each room" in said


async def test_what_a_hold_covers_is_sealed_until_the_look_is_on_record(browser: Browser) -> None:
    person = await browser.sign_in("acustodian").start()
    assert "sealed: unlock a key" in await shown(person, "/retention")
    await person.unlock()
    text = plain(await shown(person, "/retention"))
    assert "room:Response A social" in text
    said = [one.what for one in journal.read(journal_of(browser.world.config))]
    assert said[-1] == "read what the holds cover"


async def test_a_hold_that_the_bot_did_not_release_is_not_said_to_be_released(
    browser: Browser,
) -> None:
    person = await browser.sign_in("acustodian").start()
    path = f"/retention/holds/{HOLD}/release"
    answer = await person.post(path, {"reason": "it is over"})
    assert answer.status == 503
    text = await answer.text()
    assert f"bluelamp hold release {HOLD} --reason &#39;it is over&#39;" in text
    assert "hold add" not in text

    def said() -> list[str]:
        return [one.what for one in journal.read(journal_of(browser.world.config))][-2:]

    assert said() == [
        "asked the bot to release hold aaaaaaaa",
        "could not release hold aaaaaaaa: the bot does not run here",
    ]
    socket = browser.world.config.socket
    socket.parent.mkdir(exist_ok=True)
    asked: list[object] = []

    async def obey(order: Order) -> Answer:
        asked.extend(order.facts)
        return Answer(ok=True, text="")

    server = await listen(socket, obey)
    try:
        assert (await person.post(path, {"reason": "it is over"})).status == 303
    finally:
        server.close()
        socket.unlink(missing_ok=True)
    assert isinstance(asked[0], Released)
    assert said() == ["asked the bot to release hold aaaaaaaa", "released hold aaaaaaaa"]
