"""What config.yaml says of rehearsal, professional standards, the digest and the brake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.config import Config, load_config
from bridge.demo.force import found
from bridge.errors import ConfigError
from bridge.model import Room, RoomClass, RoomId
from bridge.officers.reception import practising

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def config(folder: Path, more: str) -> Config:
    path = found(folder, "http://localhost:1").config
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    return load_config(path)


def test_what_is_left_out_is_no_rehearsal_no_reports_and_a_digest_at_seven(tmp_path: Path) -> None:
    plain = config(tmp_path, "")
    assert (plain.rehearse, plain.rehearsed) == (False, frozenset())
    assert plain.standards is None
    assert (plain.digest_hour, plain.incident_hours) == (7, 4)


def test_everything_rehearses_or_some_classes_do(tmp_path: Path) -> None:
    assert config(tmp_path, "rehearse: true\n").rehearse
    some = config(tmp_path / "some", "rehearse: [community]\n")
    assert not some.rehearse
    assert some.rehearsed == {RoomClass.COMMUNITY}


def test_rooms_of_a_class_that_rehearses_rehearse_and_so_do_those_that_say_so(
    tmp_path: Path,
) -> None:
    some = config(tmp_path, "rehearse: [community]\n")
    social = Room(id=RoomId("!s"), cls=RoomClass.SOCIAL, name="s")
    rooms = {
        one.id: one
        for one in (
            social,
            replace(social, id=RoomId("!own"), rehearse=True),
            replace(social, id=RoomId("!c"), cls=RoomClass.COMMUNITY),
        )
    }
    assert {i for i, room in practising(rooms, some).items() if room.rehearse} == {"!own", "!c"}
    whole = replace(some, rehearse=True)
    assert all(room.rehearse for room in practising(rooms, whole).values())


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("rehearse: [party]\n", "'party' is not one of"),
        ("rehearse: []\n", "the list is empty"),
        ("rehearse: perhaps\n", "neither true nor false"),
        ("digest_hour: 24\n", "not between 0 and 23"),
        ("incident_hours: 0\n", "not between 1 and 168"),
        ("professional_standards:\n  name: s\n", "the key 'identity' is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, more: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        config(tmp_path, more)
    assert refused.value.line is not None


def test_reports_are_sealed_to_nobody_who_holds_another_key(tmp_path: Path) -> None:
    """A custodian's own identity, given again, would let the custodian read reports."""
    block = (
        "professional_standards:\n  name: s\n  identity: {}\n  certificates: s.json\n"
        "  team: Standards, ext. 1\n"
    )
    good = config(tmp_path, block.format(KEY))
    assert good.standards is not None
    assert good.standards.team == "Standards, ext. 1"
    text = good.path.read_text(encoding="utf-8")
    custodians = text.split("identity: ", 1)[1].split("\n", 1)[0]
    good.path.write_text(text.replace(KEY, custodians), encoding="utf-8")
    with pytest.raises(ConfigError, match="a vault of their own"):
        load_config(good.path)
