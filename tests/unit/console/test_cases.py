"""What was put under a case is found by it, and several rooms are searched at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.facts import CaseOpened, Held, Released
from bridge.model import Ms, Rid
from bridge.records.cases import covered
from bridge.records.consult import journal_of
from bridge.records.custody import scope_of
from bridge.store import journal
from bridge.store.entries import END, Filter
from tests.unit.console.conftest import Browser
from tests.unit.console.world import (
    ANNA,
    BEGAN,
    BEN,
    DAN,
    SECURE,
    SOCIAL,
    SOCIAL_B,
    Story,
    World,
    found,
    shift,
)

PLATE, OVER, LOST = (Rid(digit * 32) for digit in "abc")


def told() -> Story:
    story = shift(Story())
    story.say(ANNA, "Nobody has held this one, in another room", room=SOCIAL_B, name="b")
    story.tell(
        CaseOpened(reference="PS/2026/114", title="A complaint", by="Gwen Price"),
        CaseOpened(reference="EMPTY/1", title="Nothing yet", by="Gwen Price"),
        CaseOpened(reference="DAN/1", title="About one person", by="Gwen Price"),
        Held(rid=PLATE, scope=f"room:{SECURE}", case="PS/2026/114", reason="asked for", by="Gwen"),
        Held(rid=OVER, scope=f"room:{SOCIAL} person:{BEN} class:social", case="PS/2026/114",
             reason="asked for as well", by="Gwen"),
        Held(rid=LOST, scope=f"person:{DAN}", case="DAN/1", reason="it is about him", by="Gwen"),
        Held(rid=Rid("d" * 32), scope=f"room:{SOCIAL_B}", case="", reason="no case", by="Gwen"),
    )  # fmt: skip
    story.tell(Released(hold=OVER, reason="over", by="Gwen"))
    return story


@pytest.fixture(scope="module")
def world(quick: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return found(tmp_path_factory.mktemp("cases") / "force", "psd", story=told())


async def text(who: Browser, /, **form: object) -> str:
    answer = await who.post("/search", form)
    if answer.status != 303:
        return await answer.text()
    return await (await who.get(answer.headers["Location"])).text()


@pytest.fixture
async def auditor(browser: Browser) -> Browser:
    return await (await browser.sign_in("curious").start()).unlock()


async def test_a_case_finds_what_its_holds_cover_also_those_that_are_over(
    auditor: Browser,
) -> None:
    page = await text(auditor, case="PS/2026/114")
    assert "AB12 CDE: stopped at 10:40" in page  # by room
    assert "AB12 CDE has just left" in page  # by room, person and class; released since
    for other in ("bring the milk", "Nobody has held this one", "shut her up"):
        assert other not in page
    assert "asked for as well" in page
    assert "released" in page
    assert "do not open" not in page


async def test_a_case_narrows_and_is_narrowed(auditor: Browser) -> None:
    page = await text(auditor, case="PS/2026/114", person="Anna Reid")
    assert "stopped at 10:40" in page
    assert "has just left" not in page
    page = await text(auditor, case="PS/2026/114", room="response-b-social")
    assert "There is no record of this kind" in page
    page = await text(auditor, case="PS/2026/114", rule="veh.vrm")
    assert "AB12 CDE has just left" in page


async def test_words_are_searched_within_a_case(auditor: Browser) -> None:
    answer = await auditor.post("/search", {"case": "PS/2026/114", "words": "AB12"})
    place = answer.headers["Location"]
    search = auditor.desk.sessions.get(auditor.token, "a browser")
    assert search is not None
    assert search.visit is not None
    one = search.visit.searches[place.rsplit("/", 1)[1]]
    await auditor.ended(place)
    assert sorted(hit.sender for hit in one.hits) == [ANNA, BEN]
    assert one.covered < 15


async def test_a_case_that_is_not_on_record_is_said_so_and_one_without_holds_is_empty(
    auditor: Browser,
) -> None:
    assert "No case &#39;X/1&#39; is on record" in await text(auditor, case="X/1")
    assert "it has no hold" in await text(auditor, case="EMPTY/1")


async def test_what_a_case_holds_is_not_told_without_a_key(browser: Browser) -> None:
    person = await browser.sign_in("curious").start()
    assert "unlock a key, then search by case" in await text(person, case="PS/2026/114")


async def test_who_a_matter_is_about_does_not_come_out_by_the_case_of_their_name(
    browser: Browser,
) -> None:
    """Professional standards sees the matter, and not that this case is about its person."""
    person = await (await browser.sign_in("pstandards").start()).unlock("reviewers")
    keys = await (await browser.sign_in("acustodian").start()).unlock()
    mine, theirs = (browser.desk.sessions.get(one.token, "a browser") for one in (person, keys))
    assert mine is not None
    assert theirs is not None
    assert mine.visit is not None
    assert theirs.visit is not None
    mine.visit.sight, mine.visit.basis = theirs.visit.sight, "custodians"
    assert "shut her up" in await text(person, kind="said")
    assert "shut her up" not in await text(person, case="DAN/1")
    assert "shut her up" not in await text(person, case="DAN/1", kind="verdict")


async def test_several_rooms_are_searched_at_once_and_all_of_them_are_on_record(
    auditor: Browser,
) -> None:
    await auditor.start(case="ROOMS/2")
    await auditor.unlock()
    rooms = ["response-a-secure", "response-b-social"]
    page = await text(auditor, room=rooms)
    assert "stopped at 10:40" in page
    assert "Nobody has held this one" in page
    assert "bring the milk" not in page
    said = [one.scope for one in journal.read(journal_of(auditor.world.config))
            if one.case == "ROOMS/2" and one.what == "searched"]  # fmt: skip
    assert said == ["room:response-a-secure room:response-b-social"]


async def test_a_form_that_is_asked_for_again_has_its_rooms_checked(auditor: Browser) -> None:
    answer = await auditor.post("/search", {"room": ["response-a-secure", "response-b-social"]})
    again = answer.headers["Location"].rsplit("/", 1)[1]
    assert "response" not in answer.headers["Location"]
    page = await (await auditor.get(f"/search?again={again}")).text()
    checked = [line for line in page.split("<input") if "checkbox" in line and " checked" in line]
    assert len(checked) == 2


async def test_a_room_that_is_not_on_the_register_and_too_many_are_refused(
    auditor: Browser,
) -> None:
    assert "There is no room" in await text(auditor, room=["response-a-secure", "made-up"])
    assert "There is no room" in await text(auditor, room=[f"room-{n}" for n in range(400)])


def test_what_a_scope_covers_is_read_from_it(world: World, tmp_path: Path) -> None:
    class Tags:
        def tags(self, what: str, name: str) -> tuple[str, ...]:
            return (f"{what} {name}",)

    saved = {"e" * 32: frozenset({"1" * 32, "2" * 32})}

    def of(words: str) -> Filter:
        return covered(scope_of(world.config, words), Tags(), saved)  # type: ignore[arg-type]

    one = of(f"room:{SOCIAL} rule:veh.vrm action:redirect kind:verdict")
    assert one == Filter(kinds=frozenset({"verdict"}), rules=frozenset({"veh.vrm"}),
                         actions=frozenset({"redirect"}), rooms=(f"room {SOCIAL}",))  # fmt: skip
    assert of("rid:" + "1" * 32).rids == frozenset({"1" * 32})
    assert of("hold:" + "e" * 32).rids == frozenset({"1" * 32, "2" * 32})
    assert of("hold:" + "f" * 32).rids == frozenset()
    assert of("from:2026-11-20").end == END
    assert of("from:2026-11-20T09:00:00+00:00").start == BEGAN


def test_two_filters_meet_in_what_both_mean() -> None:
    one = Filter(kinds=frozenset("ab"), start=5, rooms=("x", "y"), without=frozenset("m"))
    other = Filter(kinds=frozenset("bc"), end=9, rooms=("y", "z"), senders=("s",))
    met = one.meet(other)
    assert met == Filter(kinds=frozenset("b"), start=5, end=9, rooms=("y",), senders=("s",),
                         without=frozenset("m"))  # fmt: skip
    for nothing in (Filter(kinds=frozenset("c")), Filter(end=5), Filter(rooms=("z",)),
                    Filter(rids=frozenset())):  # fmt: skip
        assert one.meet(nothing) is None
    assert one.meet(Filter()) == one
    with pytest.raises(ValueError, match="alternatives"):
        one.meet(Filter(whats=frozenset("w")))
    both = Filter(among=(Filter(start=Ms(1)), Filter(rids=frozenset({"r"}))))
    assert [part.start for part in both.parts] == [1, 0]
    assert not both.is_countable
