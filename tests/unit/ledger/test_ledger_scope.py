"""Scopes say which records a person may see; what is not understood is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.errors import UsageError
from bridge.ledger.opening import Reader
from bridge.ledger.scope import Scope, parse_scope
from bridge.ledger.seal import Sealer
from bridge.model import Ms
from bridge.verify.headers import Header
from tests.making import NOON, ORIGIN, custodian
from tests.unit.ledger.forging import decode
from tests.unit.ledger.test_ledger_seal import certificates, note

LONDON = ZoneInfo("Europe/London")
PSD = custodian()
ROOMS = {"Response A social": "!social", "!social": "!social"}
ASHA, BEN = "@asha:force.example", "@ben:force.example"
PEOPLE = {"Asha Rao": ASHA, ASHA: ASHA, BEN: BEN}


def parse(text: str) -> Scope:
    return parse_scope(text, LONDON, room_id=ROOMS.get, person_id=PEOPLE.get)


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_every_word_is_understood() -> None:
    scope = parse(
        'room:"Response A social" person:@asha:force.example from:2026-11-22 to:2026-11-23 '
        "rule:veh.vrm action:redirect rid:ab kind:verdict class:social"
    )
    assert (scope.room, scope.person) == ("!social", "@asha:force.example")
    assert (scope.start, scope.end) == (at(2026, 11, 22), at(2026, 11, 24))
    assert scope.clear == {
        "rule": "veh.vrm", "action": "redirect", "rid": "ab", "kind": "verdict", "class": "social",
    }  # fmt: skip


def test_days_are_those_of_the_forces_own_zone() -> None:
    assert parse("from:2026-06-01").start == at(2026, 5, 31, 23)
    assert parse("to:2026-06-01").end == at(2026, 6, 1, 23)
    # The day on which the clocks go back has 25 hours.
    assert parse("from:2026-10-25").start == at(2026, 10, 24, 23)
    assert parse("to:2026-10-25").end == at(2026, 10, 26)


def test_times_are_exact() -> None:
    assert parse("from:2026-06-01T12:00").start == at(2026, 6, 1, 11)
    assert parse("to:2026-06-01T12:00:30+00:00").end == at(2026, 6, 1, 12, 0, 30)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "asks for nothing"),
        ("   ", "asks for nothing"),
        ("everything", "not part of a scope"),
        ("room:", "not part of a scope"),
        ("sender:@a:b", "not part of a scope"),
        ("sha256:aa", "not part of a scope"),
        ("kind:note kind:gap", "given twice"),
        ("room:Nowhere", "no room 'Nowhere'"),
        ("person:Nobody", "no person 'Nobody'"),
        ("kind:gossip", "no kind 'gossip'"),
        ("from:yesterday", "neither a day"),
        ("to:2026-13-01", "neither a day"),
        ("to:9999-12-31", "neither a day"),
        ("from:2026-11-22T99:00", "neither a day"),
        ('room:"Response A social', "is not closed"),
        ("rule:it's", "is not closed"),
    ],
)
def test_what_is_no_scope_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(text)


def header(**fields: str | int) -> Header:
    return {"kind": "note", "rid": "ab", "t": NOON, **fields}


def test_a_scope_covers_what_matches_in_every_part() -> None:
    reader = Reader(ORIGIN, ["psd"], [PSD])
    assert parse("kind:note").covers(header(), reader)
    assert not parse("kind:note rid:cd").covers(header(), reader)
    assert not parse("rule:veh.vrm").covers(header(), reader)
    assert parse("from:2026-11-22 to:2026-11-22").covers(header(), reader)
    assert not parse("from:2026-11-23").covers(header(), reader)
    assert not parse("to:2026-11-21").covers(header(), reader)
    assert parse("to:2026-11-22T12:00").end == NOON
    assert not parse("to:2026-11-22T12:00").covers(header(), reader)
    assert parse("from:2026-11-22T12:00").covers(header(), reader)


def test_records_about_the_ledger_itself_are_never_in_scope() -> None:
    reader = Reader(ORIGIN, ["psd"], [PSD])
    for kind in ("genesis", "certificate", "epoch"):
        assert not parse(f"kind:{kind}").covers(header(kind=kind), reader)


def test_people_and_rooms_are_found_by_their_tags() -> None:
    sealer = Sealer(ORIGIN, certificates(PSD), tag_keys={})
    draft = note()
    object.__setattr__(draft, "tagged", {"room": "!social", "sender": "@asha:force.example"})
    sealed = sealer.seal([draft], Ms(NOON)).records
    reader = Reader(ORIGIN, ["psd"], [PSD])
    reader.learn(decode(sealed[0].header), sealed[0].body)
    told = decode(sealed[-1].header)
    assert parse("room:!social person:@asha:force.example").covers(told, reader)
    assert parse("person:'Asha Rao'").covers(told, reader)
    assert not parse("person:@ben:force.example").covers(told, reader)
