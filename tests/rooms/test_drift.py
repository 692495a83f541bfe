"""A drill of each way in which a room can come loose, on a real homeserver, in both versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import NotPermitted
from bridge.matrix.api import Api, quote
from bridge.matrix.desired import RETENTION_TYPE
from bridge.model import RoomClass, UserId
from bridge.rooms.premises import Look
from bridge.rooms.roster import Belonged
from tests.homeserver.test_rooms import PEOPLE, V3, invite, join, joined, put, say
from tests.rooms.conftest import Estate

POWER = "m.room.power_levels"


async def hand_over(estate: Estate, who: str, level: int = 100) -> Api:
    """Make a member as powerful as can be, as a careless administrator would."""
    member = await estate.joins(who, "social")
    power = await estate.state("social", POWER)
    power["users"] = {**power["users"], estate.person(who): level}
    await put(estate.api, estate.room("social"), POWER, power)
    return member


LOOSENED: list[tuple[str, dict[str, Any], str]] = [
    ("m.room.encryption", {"algorithm": "org.example.none"}, "is encrypted by org.example.none"),
    ("m.room.join_rules", {"join_rule": "public"}, "join rule is public, should be invite"),
    ("m.room.guest_access", {"guest_access": "can_join"}, "guest access is can_join"),
    (
        "m.room.history_visibility",
        {"history_visibility": "world_readable"},
        "history visibility is world_readable",
    ),
    ("m.room.server_acl", {"allow": ["*"]}, "other servers than force.example are let in"),
    (RETENTION_TYPE, {"max_lifetime": 1}, "how long the server shows messages is not what"),
]
#: How long the server shows messages, ms.
SHOWN = dict.fromkeys(RoomClass, 32 * 86_400_000)


@pytest.mark.parametrize(("kind", "content", "words"), LOOSENED, ids=[one[0] for one in LOOSENED])
async def test_what_loosens_a_room_is_put_right_and_who_did_it_is_on_record(
    estate: Estate, kind: str, content: dict[str, Any], words: str
) -> None:
    anna, here = await estate.joins("anna", "social"), estate.room("social")
    if kind == RETENTION_TYPE:
        estate.house = replace(estate.house, lifetimes=SHOWN)
        await put(estate.api, here, kind, {"max_lifetime": SHOWN[RoomClass.REVIEW]})
    # In one step, so that the level is gone again and the change alone is left.
    before = await estate.state("social", kind)
    power = await estate.state("social", POWER)
    raised = {**power, "users": {**power["users"], estate.person("anna"): 100}}
    await put(estate.api, here, POWER, raised)
    await put(anna, here, kind, content)
    await estate.look("social")
    assert await estate.state("social", kind) == before
    by = estate.person("anna")
    assert any(words in note and f"(by {by}); putting it right" in note for note in estate.notes)
    assert any(words in said and f"{by} did that; Blue Lamp has" in said for said in estate.told)
    with pytest.raises(NotPermitted):
        await put(await estate.sign_in(estate.person("ben")), here, kind, content)


async def test_nobody_has_the_server_forget_a_room_whose_time_is_not_known(estate: Estate) -> None:
    here = estate.room("social")
    assert await estate.faults("social") == []
    await put(estate.api, here, RETENTION_TYPE, {"max_lifetime": 1})
    await estate.look("social")
    assert await estate.state("social", RETENTION_TYPE) == {}
    assert any("told to forget what was said in it" in note for note in estate.notes)
    assert await estate.faults("social") == []


async def test_power_that_somebody_was_given_is_taken_away(estate: Estate) -> None:
    await hand_over(estate, "anna", 60)
    power = await estate.state("social", POWER)
    await put(estate.api, estate.room("social"), POWER, {**power, "invite": 0, "kick": 0})
    await estate.look("social")
    mended = await estate.state("social", POWER)
    assert estate.person("anna") not in mended["users"]
    assert (mended["invite"], mended["kick"]) == (50, 50)
    (note,) = estate.notes
    assert f"{estate.person('anna')} has 60, should have none; invite is 0, should be 50" in note
    assert await estate.faults("social") == []


async def test_an_unknown_bot_that_was_let_in_is_put_out_again(estate: Estate) -> None:
    sam = await estate.joins("sam", "social")
    helper = await estate.sign_in(estate.person("helperbot"))
    await invite(sam, estate.room("social"), estate.person("helperbot"))
    await join(helper, estate.room("social"))
    await estate.look("social")
    assert estate.room("social") not in await joined(helper)
    (said,) = estate.told
    assert f"{estate.person('helperbot')} is in the room but not on the register" in said
    assert await estate.faults("social") == []


def remembering(estate: Estate, folder: Path) -> Belonged:
    """Have the guard remember who belonged, as the running bot does."""
    belonged = Belonged(folder=folder)

    def seen(look: Look) -> None:
        assert look.members is not None
        belonged.note(look.key, look.members, look.present)

    estate.upkeep.seen = seen
    estate.house = replace(estate.house, belonged=belonged.of)
    return belonged


@pytest.mark.parametrize("many", [2, 3])
async def test_intruders_whom_the_supervisor_let_in_go_at_once_however_many(
    estate: Estate, tmp_path: Path, many: int
) -> None:
    remembering(estate, tmp_path / "belonged")
    here, sam = estate.room("social"), await estate.joins("sam", "social")
    await estate.joins("anna", "social")
    await estate.joins("ben", "social")
    await estate.look("social")
    spies = {}
    for name in [f"spy{n}" for n in range(many)]:
        spies[name] = await estate.sign_in(estate.person(name))
        await invite(sam, here, estate.person(name))
        await join(spies[name], here)
    remembering(estate, tmp_path / "belonged")  # over a restart
    await estate.look("social")
    for name, spy in spies.items():
        assert here not in await joined(spy), name
        assert any(f"{estate.person(name)} is in the room but" in said for said in estate.told)
    assert await estate.faults("social") == []


async def test_a_list_that_was_cut_short_puts_nobody_out_of_a_small_room(
    estate: Estate, tmp_path: Path
) -> None:
    remembering(estate, tmp_path / "belonged")
    here, members = estate.room("social"), dict[str, Api]()
    for name in ("sam", "anna", "ben"):
        members[name] = await estate.joins(name, "social")
    await estate.look("social")
    spy = await estate.sign_in(estate.person("spy"))
    await invite(members["sam"], here, estate.person("spy"))
    await join(spy, here)
    estate.people("\n".join(
        line for line in PEOPLE.format(tag=estate.tag).splitlines() if "-sam:force" in line[:40]
        or line.startswith("matrix_id")
    ) + "\n")  # fmt: skip
    for _ in range(2):
        await estate.look("social")
    assert here in await joined(members["anna"])
    assert here in await joined(members["ben"])
    assert here not in await joined(spy), "who never belonged goes all the same"
    assert any("2 of 4 people are not on the register" in said for said in estate.told)


async def test_a_guest_of_nobody_is_put_out(estate: Estate) -> None:
    guest = UserId(f"@{estate.tag}-1234:force.example")
    api = await estate.sign_in(guest)
    await invite(estate.api, estate.room("social"), guest)
    await join(api, estate.room("social"))
    await estate.look("social")
    assert estate.room("social") not in await joined(api)


async def test_a_fight_ends_with_a_lock_and_a_call(estate: Estate) -> None:
    here, sam = estate.room("social"), await estate.joins("sam", "social")
    ben = await estate.joins("ben", "social")
    for _ in range(4):
        power = await estate.state("social", POWER)
        raised = {**power, "users": {**power["users"], estate.person("anna"): 60}}
        await put(estate.api, here, POWER, raised)
        await estate.look("social")
    with pytest.raises(NotPermitted):
        await say(ben, here)
    with pytest.raises(NotPermitted):
        await say(sam, here)
    assert f"A social is locked: power levels: {estate.person('anna')} has 60" in estate.told[-1]
    assert f"'bluelamp rooms unlock {estate.key('social')}'" in estate.told[-1]
    mended, calls = len(estate.notes), len(estate.told)
    for _ in range(3):
        await estate.look("social")
    assert (len(estate.notes), len(estate.told)) == (mended, calls), "no loop, and no second call"


async def test_a_locked_room_opens_when_a_person_says_so_and_not_before(estate: Estate) -> None:
    ben, here = await estate.joins("ben", "social"), estate.room("social")
    assert await estate.premises.lock_down(estate.key("social"), "a drill") == ""
    await estate.look("social")
    with pytest.raises(NotPermitted):
        await say(ben, here)
    assert any("is locked (a drill)" in what for what in await estate.faults("social"))
    assert await estate.upkeep.unlock(estate.key("social"), "gwen", "it was a drill") == ""
    assert await say(ben, here)
    assert await estate.faults("social") == []
    assert "A social was unlocked by gwen: it was a drill" in estate.notes


async def test_a_lock_that_was_begun_is_finished_by_the_next_look(estate: Estate) -> None:
    ben, here = await estate.joins("ben", "social"), estate.room("social")
    await put(estate.api, here, "uk.police.lock", {"reason": "killed in between"})
    await estate.look("social")
    with pytest.raises(NotPermitted):
        await say(ben, here)


async def test_a_bot_that_was_demoted_has_its_power_again_or_calls(estate: Estate) -> None:
    if estate.version == "12":
        return  # there, the bot made the room, and nobody can demote it
    await hand_over(estate, "anna", 100)
    power = await estate.state("social", POWER)
    users = {**power["users"], estate.api_user: 0}
    await put(estate.api, estate.room("social"), POWER, {**power, "users": users})
    await estate.look("social")
    assert (await estate.state("social", POWER))["users"][estate.api_user] == 100
    assert any("has power level 0 in it and needs 100" in note for note in estate.notes)


async def test_a_bot_that_is_no_longer_in_a_room_calls_for_help_once(estate: Estate) -> None:
    await estate.joins("sam", "social")
    path = f"{V3}/rooms/{quote(estate.room('social'))}/leave"
    await estate.api.call("POST", path, {})
    estate.admin = None
    for _ in range(3):
        await estate.look("social")
    (said,) = estate.told
    assert f"the bot cannot enter {estate.room('social')}" in said


async def test_a_bot_that_was_put_out_comes_back_where_an_administrator_can_let_it(
    estate: Estate,
) -> None:
    """The server's administrator cannot give a room's maker power that it has for good."""
    await estate.joins("sam", "social")
    power = await estate.state("social", POWER)
    power["users"] = {**power["users"], estate.person("sam"): 100}
    await put(estate.api, estate.room("social"), POWER, power)
    await estate.api.call("POST", f"{V3}/rooms/{quote(estate.room('social'))}/leave", {})
    await estate.look("social")
    back = estate.room("social") in await joined(estate.api)
    assert back == (estate.version == "11")
    assert back or "make_room_admin was refused" in estate.told[0]


async def test_power_that_an_administrator_took_in_the_bots_name_is_no_secret(
    estate: Estate,
) -> None:
    await estate.joins("anna", "social")
    assert estate.admin is not None
    path = f"/_synapse/admin/v1/rooms/{quote(estate.room('social'))}/make_room_admin"
    await estate.admin.call("POST", path, {"user_id": estate.person("anna")})
    await estate.look("social")
    outranks = estate.version == "11"  # there, nobody takes power from an equal
    assert (estate.person("anna") in (await estate.state("social", POWER))["users"]) == outranks
    assert len(estate.told) == 1
    assert "The bot's own account, which an administrator of the homeserver" in estate.told[0]


async def test_what_nobody_changed_but_the_register_is_mended_without_a_call(
    estate: Estate,
) -> None:
    await estate.joins("anna", "social")
    estate.renotice("Another notice")
    await estate.look("social")
    assert (await estate.state("social", "m.room.topic")) == {"topic": "Another notice"}
    assert estate.told == []
    assert len(estate.notes) == 1


async def test_in_a_rehearsal_nothing_is_put_right_and_it_is_on_record_once(
    estate: Estate,
) -> None:
    estate.upkeep.rehearse = True
    await put(estate.api, estate.room("social"), "m.room.join_rules", {"join_rule": "public"})
    for _ in range(3):
        await estate.look("social")
    assert (await estate.state("social", "m.room.join_rules"))["join_rule"] == "public"
    (note,) = estate.notes
    assert note.startswith("rehearsed, nothing was done: A social: join rule is public")
