"""What is due and waits for people: listed, decided with reasons, labelled, and what follows."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import yaml

from bridge.config import Config, load_config, load_register
from bridge.facts import Fate
from bridge.ledger.keys import DAY_MS
from bridge.matrix import rooms
from bridge.matrix.api import Api
from bridge.matrix.desired import RETENTION_TYPE, House, want
from bridge.matrix.premises import MatrixPremises
from bridge.model import Ms, RoomClass, RoomId
from bridge.records import due, retention
from bridge.register import Lock
from bridge.rooms import caretaking
from bridge.rooms.housing import house
from bridge.rooms.labels import decided
from bridge.running import app, drafts
from bridge.running.parts import check
from bridge.store.reader import SqliteReader
from tests.making import NOON
from tests.unit.ledger.place import Place, made

BUCKET = "operational-2026-11"
ITEM = f"bucket:{BUCKET}"
GWEN = ("--by", "Gwen Price")
#: The bucket ends with November 2026, and is kept for 366 days after.
KEPT = "  operational: {{kept_for: 366, minimum: {minimum}, maximum: {maximum}}}"
ROOMS = ("response-a-secure", "response-b-secure")


def build(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    minimum: int = 100,
    maximum: int = 500,
) -> Place:
    def shorter(text: str) -> str:
        old = "  operational: {kept_for: 2557, minimum: 2192}"
        assert old in text
        return text.replace(old, KEPT.format(minimum=minimum, maximum=maximum))

    return made(
        tmp_path, monkeypatch, capsys, classes=shorter, cls=RoomClass.OPERATIONAL, after_days=383,
        also="accounts: shared\n",
    )  # fmt: skip


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    """A host with operational records whose day was a week ago."""
    return build(tmp_path, monkeypatch, capsys)


def attested(place: Place) -> str:
    return str(place.attest(bucket=BUCKET, destroyed=NOON + 383 * DAY_MS))


def listed(place: Place, *also: str) -> dict[str, dict[str, Any]]:
    place.say()
    place.run("review", "list", "--json", *also)
    text = place.say()
    return {one["item"]: one for one in json.loads(text)}


def decide(place: Place, item: str, fate: str, *more: str, by: tuple[str, str] = GWEN) -> int:
    return place.run("review", "decide", item, fate, *more, "--reason", "as we agreed", *by)


def due_file(place: Place) -> retention.DueFile:
    path = place.folder / "due.json"
    place.run("retention", "due", "--out", str(path))
    return msgspec.json.decode(path.read_bytes(), type=retention.DueFile)


def recorded(place: Place, kind: str) -> list[dict[str, Any]]:
    reader = SqliteReader(place.folder / "ledger" / "ledger.db")
    try:
        heads = [json.loads(row.header) for row in reader.rows()]
    finally:
        reader.close()
    return [head for head in heads if head["kind"] == kind]


def test_operational_records_without_a_group_wait_for_people_instead_of_going(
    place: Place,
) -> None:
    assert place.run("review", "list") == 2
    said = place.say()
    assert ITEM in said
    assert "nobody has given a MoPI group" in said
    file = due_file(place)
    assert (file.buckets, file.withheld) == ((), (BUCKET,))
    assert "People decide about these first: 'bluelamp review list'" in place.say()


def test_what_nobody_has_decided_about_is_not_deleted_even_where_its_key_is_destroyed(
    place: Place,
) -> None:
    assert place.run("retention", "run", "--attestation", attested(place)) == 3
    assert "Nothing was recorded, and nothing deleted" in place.say()
    assert all(place.bodies().values())
    assert recorded(place, "shred") == []


def test_a_custodian_is_not_let_destroy_what_nobody_has_decided_about(place: Place) -> None:
    assert due_file(place).withheld == (BUCKET,)
    code = place.run(
        "keys", "destroy", BUCKET, "--vault", "vault", "--share", "share", "--due",
        str(place.folder / "due.json"), "-o", str(place.folder / "paper.json"),
    )  # fmt: skip
    assert code == 3
    assert f"{BUCKET} stays: people have retained it, or not decided about it" in place.say()


def test_what_people_let_go_goes_and_their_decision_is_on_record(place: Place) -> None:
    assert decide(place, ITEM, "dispose") == 0
    assert "retention due" in place.say()
    assert due_file(place).buckets == (BUCKET,)
    (head,) = recorded(place, "appraisal")
    assert head["status"] == "dispose"
    assert place.run("retention", "run", "--attestation", attested(place)) == 0
    assert not any(place.bodies().values())
    assert place.run("ledger", "verify") in {0, 2}


def test_what_is_retained_stays_until_its_day_and_then_comes_up_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decide(place, ITEM, "retain", "--until", "2028-01-31") == 0
    assert ITEM not in listed(place)
    kept = listed(place, "--all")[ITEM]
    assert kept["why"] == "Gwen Price retained it until 01 Feb 2028: as we agreed"
    assert kept["decided"]["fate"] == "retain"
    assert due_file(place).withheld == (BUCKET,)
    monkeypatch.setattr(app, "now", lambda: Ms(NOON + 440 * DAY_MS))
    assert listed(place)[ITEM]["waits"]


def test_nothing_is_retained_beyond_the_maximum_of_its_class(place: Place) -> None:
    assert decide(place, ITEM, "retain", "--until", "2028-06-01") == 3
    said = place.say()
    assert "may be kept until 14 Apr 2028 at the longest" in said
    assert "on hold" in said
    assert recorded(place, "appraisal") == []


def test_nothing_goes_before_the_minimum_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = build(tmp_path, monkeypatch, capsys, minimum=366)
    file = place.folder / "policies" / "classes.yaml"
    higher = "{kept_for: 400, minimum: 400, maximum: 500}"
    file.write_text(file.read_text().replace("{kept_for: 366, minimum: 366, maximum: 500}", higher))
    assert decide(place, ITEM, "dispose") == 3
    assert "must be kept until 05 Jan 2028: that is the minimum of its class" in place.say()
    assert due_file(place).withheld == (BUCKET,)
    assert not listed(place, "--all")[ITEM]["waits"], "there is nothing to decide yet"


def test_once_every_room_has_a_group_the_records_go_on_their_day(place: Place) -> None:
    first, second = ROOMS
    assert place.run("review", "label", f"room:{first}", "3", "--reason", "volume", *GWEN) == 0
    assert listed(place)[ITEM]["waits"], "one room has none yet"
    assert place.run("review", "label", f"room:{second}", "2", "--reason", "assaults", *GWEN) == 0
    assert ITEM not in listed(place)
    assert due_file(place).buckets == (BUCKET,)
    assert listed(place, "--all")[ITEM]["mopi"] == 2, "the gravest"
    assert len(recorded(place, "label")) == 2


@pytest.mark.parametrize("noted", ["rooms", "retired"])
def test_a_room_that_was_once_on_the_register_without_a_group_still_counts(
    place: Place, noted: str
) -> None:
    first, second = ROOMS
    room = "!second:force.example"
    lock = {"rooms": {second: room}, "retired": {second: "closed"} if noted == "retired" else {}}
    (place.folder / "rooms.lock.yaml").write_text(yaml.safe_dump(lock))
    place.run("review", "label", f"room:{first}", "3", "--reason", "volume", *GWEN)
    file = place.folder / "rooms.yaml"
    register = yaml.safe_load(file.read_text())
    del register["rooms"][second]
    for one in register["rooms"].values():
        if one.get("secure") == second:
            one["secure"] = first
    file.write_text(yaml.safe_dump(register, sort_keys=False))
    assert listed(place)[ITEM]["waits"], "what was said in the other has no group"
    assert due_file(place).withheld == (BUCKET,)
    place.run("review", "label", ITEM, "3", "--reason", "both", *GWEN)
    assert due_file(place).buckets == (BUCKET,)


async def test_a_group_by_command_reaches_what_is_compared_with_the_server(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[House] = []

    async def noted(_api: object, house: House, *_: object) -> Any:
        seen.append(house)
        return SimpleNamespace(lock=Lock())

    async def as_bot(_: object) -> Any:
        return contextlib.nullcontext()

    monkeypatch.setattr(rooms, "plan", noted)
    monkeypatch.setattr(rooms, "adopt", noted)
    monkeypatch.setattr(app, "_as_bot", as_bot)

    async def forgets() -> list[bool]:
        config = load_config(place.config)
        policy = drafts.deciding(config)
        seen.clear()
        await app.compare_rooms(cast(Api, None), config, policy)
        await app.adopt_room(config, ROOMS[0], RoomId("!here:force.example"))
        return [(RETENTION_TYPE, "") in want(one, ROOMS[0], Lock()).state for one in seen]

    assert await forgets() == [False, False]
    label = ("review", "label", f"room:{ROOMS[0]}", "3", "--reason", "volume", *GWEN)
    assert await asyncio.to_thread(place.run, *label) == 0
    assert await forgets() == [True, True]


def test_a_group_by_command_reaches_what_the_guard_holds_rooms_to(place: Place) -> None:
    parts = check(load_config(place.config))
    transport = SimpleNamespace(newest=lambda room: room, on_state=[], api=None)
    roster = SimpleNamespace(people=lambda: parts.people, names={})
    store = SimpleNamespace(append=None)
    guarding, _ = caretaking.guarding(
        parts, cast(Any, transport), cast(Any, store), cast(Any, roster), lambda: parts.policy,
        cast(Any, print), lambda: None,
    )  # fmt: skip
    plan = cast(MatrixPremises, guarding.upkeep.premises)._plan

    def forgets() -> bool:
        return (RETENTION_TYPE, "") in want(plan()[0], ROOMS[0], Lock()).state

    assert not forgets()
    place.run("review", "label", f"room:{ROOMS[0]}", "3", "--reason", "volume", *GWEN)
    assert forgets()


def test_where_the_bot_or_a_class_rehearses_the_server_is_to_forget_nothing(place: Place) -> None:
    config = load_config(place.config)
    register, people, _ = load_register(config)
    policy = drafts.deciding(config)

    def told(config: Config) -> set[RoomClass]:
        return set(house(config, register, people, policy).lifetimes)

    assert told(config) == set(policy.classes)
    assert told(replace(config, rehearse=True)) == set()
    social = replace(config, rehearsed=frozenset({RoomClass.SOCIAL}))
    assert told(social) == set(policy.classes) - {RoomClass.SOCIAL}


def test_a_bucket_that_people_give_a_group_goes_on_its_day(place: Place) -> None:
    assert place.run("review", "label", ITEM, "3", "--reason", "all volume crime", *GWEN) == 0
    assert due_file(place).buckets == (BUCKET,)


def test_a_room_with_a_group_by_command_is_labelled_for_the_bot_too(place: Place) -> None:
    config = load_config(place.config)
    register = due.know(config, drafts.deciding(config)).register
    assert not register.rooms[ROOMS[0]].labelled
    place.run("review", "label", f"room:{ROOMS[0]}", "3", "--reason", "volume", *GWEN)
    assert decided(register, config).rooms[ROOMS[0]].mopi == 3


def test_a_room_past_its_review_waits_for_its_owner_who_says_until_when(place: Place) -> None:
    item = "room:response-a-social"
    found = listed(place)[item]
    assert found["who"] == "its owner, Sam Okoro"
    assert found["why"] == "its review was due on 01 May 2027"
    assert decide(place, item, "retain", "--until", "2028-05-01", by=("--by", "Ben Hughes")) == 3
    assert decide(place, item, "retain", "--until", "2028-05-01", by=("--by", "Sam Okoro")) == 0
    assert item not in listed(place)
    config = load_config(place.config)
    known = due.know(config, drafts.deciding(config))
    assert known.register.rooms["response-a-social"].review >= datetime.date(2028, 5, 1)


def test_a_room_that_is_to_close_is_closed_by_two_people(place: Place) -> None:
    item = "room:response-a-social"
    assert decide(place, item, "dispose", by=("--by", "Sam Okoro")) == 0
    assert "bluelamp rooms retire response-a-social" in place.say()
    assert not listed(place, "--all")[item]["waits"]


def test_a_hold_that_nobody_has_looked_at_for_a_year_waits_for_people(place: Place) -> None:
    assert place.run("case", "add", "PS/1", "--title", "a complaint") == 0
    scope = ("--scope", "rule:veh.vrm", "--case", "PS/1")
    assert place.run("hold", "add", *scope, "--reason", "a complaint") == 0
    assert place.run("review", "label", "case:PS/1", "1", "--reason", "serious", *GWEN) == 0
    (hold,) = place.holds()
    assert f"hold:{hold}" not in listed(place)
    config = load_config(place.config)
    known = due.know(config, drafts.deciding(config))
    year = Ms(NOON + (383 + 366) * DAY_MS)
    (found,) = (one for one in due.survey(known, year).waiting if one.sort == due.Sort.HOLD)
    assert (found.name, found.group) == (f"hold:{hold}", 1)
    assert decide(place, f"hold:{hold[:6]}", "dispose") == 3
    assert "hold release" in place.say()
    assert decide(place, f"hold:{hold[:6]}", "retain", "--until", "2031-01-01") == 0
    known = due.know(config, drafts.deciding(config))
    assert not [one for one in due.survey(known, year).items if one.sort == due.Sort.HOLD]


def test_records_of_no_operational_class_go_on_their_day_without_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = made(tmp_path, monkeypatch, capsys, also="accounts: shared\n")
    assert due_file(place).buckets == ("social-2026-11",)
    assert "bucket:social-2026-11" not in listed(place)
    assert not listed(place, "--all")["bucket:social-2026-11"]["waits"]
    label = ("review", "label", "bucket:social-2026-11", "3", "--reason", "r", *GWEN)
    assert place.run(*label) == 3
    assert "needs no group" in place.say()
    assert decide(place, "bucket:social-2026-11", "retain", "--until", "2027-07-01") == 0
    assert due_file(place).withheld == ("social-2026-11",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((ITEM, "retain"), "Say until when: on that day"),
        ((ITEM, "retain", "--until", "soon"), "'soon' is not a day such as"),
        ((ITEM, "retain", "--until", "2026-01-01"), "2026-01-01 is over"),
        ((ITEM, "dispose", "--until", "2028-01-01"), "leave the day out"),
        (("bucket:operational-2031-01", "dispose"), "no bucket 'operational-2031-01'"),
        (("room:nowhere", "dispose"), "no room 'nowhere' in rooms.yaml"),
        (("hold:ff", "dispose"), "no one active hold 'ff'"),
        (("case:PS/1", "dispose"), "names nothing"),
        (("operational-2026-11", "dispose"), "names nothing"),
        (("bucket:system-2027-12", "dispose"), "nothing to decide before"),
    ],
)
def test_what_cannot_be_decided_is_said_with_what_to_do(
    place: Place, given: tuple[str, ...], said: str
) -> None:
    item, fate, *more = given
    assert decide(place, item, fate, *more) == 3
    assert said in place.say()
    assert recorded(place, "appraisal") == []


def test_whoever_may_not_decide_is_refused_and_a_reason_is_needed(place: Place) -> None:
    assert decide(place, ITEM, "dispose", by=("--by", "Anna Reid")) == 3
    assert "'Anna Reid' is not listed as an auditor or custodian" in place.say()
    assert place.run("review", "decide", ITEM, "dispose", "--reason", " ", *GWEN) == 3
    assert "Say why: the reason" in place.say()
    assert place.run("review", "label", ITEM, "5", "--reason", "r", *GWEN) == 3
    assert "one of 1 to 4" in place.say()


def test_who_decides_is_the_account_where_accounts_are_not_shared(place: Place) -> None:
    text = place.config.read_text().replace("accounts: shared\n", "")
    place.config.write_text(text)
    assert decide(place, ITEM, "dispose") == 3
    assert "is not the sign-in (console)" in place.say()


def test_a_decision_is_read_again_as_it_was_made(place: Place) -> None:
    decide(place, ITEM, "retain", "--until", "2028-01-31")
    decide(place, ITEM, "dispose")
    reader = SqliteReader(place.folder / "ledger" / "ledger.db")
    try:
        found = reader.appraisals()
    finally:
        reader.close()
    assert [(one.fate, one.by, one.reason) for one in found] == [
        (Fate.RETAIN, "Gwen Price", "as we agreed"), (Fate.DISPOSE, "Gwen Price", "as we agreed"),
    ]  # fmt: skip
    assert due_file(place).buckets == (BUCKET,), "the last counts"
