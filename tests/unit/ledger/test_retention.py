"""What the host does about cases, holds and disposals, from the command line."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from typing import Any

import msgspec
import pytest

from bridge.config import load_config
from bridge.ledger.keys import DAY_MS
from bridge.records import retention
from bridge.store import chain
from bridge.store.reader import SqliteReader
from bridge.verify.notes import encode64
from bridge.verify.papers import OVERHEAD, Previous, Wrap
from bridge.verify.report import Row
from tests.making import NOON
from tests.unit.ledger.place import BUCKET, Place, go_on

#: As long as what one record's half is sealed to.
SEALED = encode64(bytes(OVERHEAD + 32))


def test_what_is_due_is_listed_and_written_for_the_custodians(place: Place) -> None:
    file = place.folder / "due.json"
    assert place.run("retention", "due", "--out", str(file)) == 1
    assert BUCKET in place.say()
    due = msgspec.json.decode(file.read_bytes(), type=retention.DueFile)
    assert (due.buckets, due.holds) == ((BUCKET,), ())
    assert due.checkpoint.startswith("force.example/bluelamp\n")


def test_an_attested_bucket_is_deleted_and_is_no_longer_due(place: Place) -> None:
    assert place.run("retention", "run", "--attestation", str(place.attest())) == 0
    assert list(place.bodies().values()) == [False] * 3
    assert place.run("retention", "due") == 0
    assert "Attested, not proven gone" in place.say()


def test_the_records_of_a_hold_stay_until_it_is_released(place: Place) -> None:
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "a complaint") == 0
    (hold,) = place.holds()
    first, *_ = place.rids()
    wrap = Wrap(hold=hold, records=(first,), sealed=SEALED)
    assert place.run("retention", "run", "--attestation", str(place.attest(wrap))) == 0
    assert list(place.bodies().values()) == [True, False, False]
    assert place.run("hold", "list") == 0
    assert "a complaint" in place.say()
    assert place.run("hold", "release", hold[:8], "--reason", "closed") == 0
    assert list(place.bodies().values()) == [False] * 3


def test_a_hold_that_the_custodian_did_not_know_of_is_said_aloud(place: Place) -> None:
    paper = place.attest()
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "late") == 0
    (hold,) = place.holds()
    place.run("retention", "run", "--attestation", str(paper))
    assert f"Hold {hold} was not known to psd" in place.say()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"origin": "other.example/bluelamp"}, "of another ledger"),
        ({"destroyed": NOON}, "destroyed before its date"),
        ({"custodian": "im"}, "by nobody that the configuration names"),
    ],
)
def test_an_attestation_that_does_not_fit_changes_nothing(
    place: Place, other: dict[str, object], said: str
) -> None:
    code = place.run("retention", "run", "--attestation", str(place.attest(**other)))
    assert code in {1, 3}
    assert said in place.say()
    assert all(place.bodies().values())


NOW = NOON + 200 * DAY_MS


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"checkpoint": ""}, "the checkpoint of this attestation"),
        (
            {"checkpoint": "force.example/bluelamp"},
            "the checkpoint of this attestation",
        ),
        ({"destroyed": NOW + 121_000}, "dated later than the record"),
        ({"holds": (Wrap(hold="0" * 32, records=(), sealed=""),)}, "a hold that is not on record"),
    ],
)
def test_an_attestation_that_would_not_verify_is_not_recorded(
    place: Place, other: dict[str, Any], said: str
) -> None:
    records = len(retention_records(place))
    assert place.run("retention", "run", "--attestation", str(place.attest(**other))) == 1
    assert said in place.say()
    assert all(place.bodies().values())
    assert len(retention_records(place)) == records


def retention_records(place: Place) -> list[Row]:
    reader = SqliteReader(place.folder / "ledger" / "ledger.db")
    try:
        return list(reader.rows())
    finally:
        reader.close()


def test_an_attestation_that_leaves_a_hold_out_is_not_recorded(place: Place) -> None:
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "r") == 0
    assert place.run("retention", "run", "--attestation", str(place.attest())) == 1
    assert "leaves out the hold" in place.say()
    assert all(place.bodies().values())


def test_nothing_is_handed_to_custodians_before_a_checkpoint_is_there(place: Place) -> None:
    db = sqlite3.connect(place.folder / "ledger" / "ledger.db")
    db.execute("DELETE FROM checkpoint")
    db.commit()
    db.close()
    file = place.folder / "due.json"
    assert place.run("retention", "due", "--out", str(file)) == 3
    assert "ledger checkpoint" in place.say()
    assert not file.exists()


def test_a_bucket_without_records_is_nothing_to_dispose_of(place: Place) -> None:
    paper = place.attest(bucket="social-2031-01")
    assert place.run("retention", "run", "--attestation", str(paper)) == 0
    assert "nothing to dispose of" in place.say()


def test_what_is_due_counts_the_closed_logs_as_well(place: Place) -> None:
    go_on(place.config, "in the next half-year")
    config = load_config(place.config)
    last = (place.folder / "anchor" / "checkpoint").read_text()
    chain.begin_next(config.ledger, "force.example/bluelamp/2", Previous(checkpoint=last))
    go_on(place.config, "in a new log")
    assert place.run("retention", "due") == 1
    assert BUCKET in place.say()


def test_an_attestation_made_before_a_log_was_closed_counts_after_it(place: Place) -> None:
    paper = place.attest()
    config = load_config(place.config)
    last = (place.folder / "anchor" / "checkpoint").read_text()
    chain.begin_next(config.ledger, "force.example/bluelamp/2", Previous(checkpoint=last))
    go_on(place.config, "in a new log")
    assert place.run("retention", "run", "--attestation", str(paper)) == 0
    assert place.run("ledger", "verify") in {0, 2}
    assert place.run("retention", "due") == 0


def test_an_attestation_by_somebody_else_changes_nothing(place: Place) -> None:
    place.keeper.identity = bytes(32)
    assert place.run("retention", "run", "--attestation", str(place.attest())) == 1
    assert "not signed by its custodian" in place.say()
    assert all(place.bodies().values())


def test_an_attestation_is_taken_once(place: Place) -> None:
    paper = place.attest()
    assert place.run("retention", "run", "--attestation", str(paper)) == 0
    assert place.run("retention", "run", "--attestation", str(paper)) == 3
    assert "on record already" in place.say()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"text": 1}]'])
def test_a_file_that_is_no_attestation_is_refused_by_name(place: Place, text: str) -> None:
    path = place.folder / "x.json"
    path.write_text(text)
    assert place.run("retention", "run", "--attestation", str(path)) == 3
    assert "x.json: this is not an attestation file" in place.say()


def test_one_record_is_erased_on_every_custodians_order(place: Place) -> None:
    first, *_ = place.rids()
    assert place.run("erase", first, "--order", str(place.order(first))) == 0
    assert list(place.bodies().values()) == [False, True, True]


def test_nothing_is_erased_without_an_order_for_that_very_record(place: Place) -> None:
    first, second, _ = place.rids()
    assert place.run("erase", first, "--order", str(place.order(second))) == 3
    assert "no valid order of psd" in place.say()
    assert place.run("erase", "0" * 32, "--order", str(place.order(first))) == 3
    assert all(place.bodies().values())


def test_what_the_rest_cannot_be_checked_without_is_not_erased(place: Place) -> None:
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "r") == 0
    tried = set()
    for row in retention_records(place):
        head = json.loads(row.header)
        if head["kind"] in {"genesis", "certificate", "epoch", "hold"}:
            order = str(place.order(head["rid"]))
            assert place.run("erase", head["rid"], "--order", order, "--not-held") == 3
            assert "cannot be erased" in place.say()
            tried.add(head["kind"])
    assert len(tried) == 4


def test_what_is_kept_for_an_active_hold_is_not_erased_until_its_release(place: Place) -> None:
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "a complaint") == 0
    (hold,) = place.holds()
    first, *_ = place.rids()
    wrap = Wrap(hold=hold, records=(first,), sealed=SEALED)
    assert place.run("retention", "run", "--attestation", str(place.attest(wrap))) == 0
    order = str(place.order(first))
    assert place.run("erase", first, "--order", order, "--not-held") == 3
    assert "is kept for hold" in place.say()
    assert place.bodies()[first]
    assert place.run("hold", "release", hold, "--reason", "over") == 0
    assert not place.bodies()[first]  # its time was up: the release itself deletes it
    assert place.run("erase", first, "--order", order) == 3
    assert "gone already" in place.say()


def test_a_hold_that_alone_keeps_what_a_later_one_may_need_is_not_released_unasked(
    place: Place,
) -> None:
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "first") == 0
    (hold,) = place.holds()
    first, *_ = place.rids()
    wrap = Wrap(hold=hold, records=(first,), sealed=SEALED)
    assert place.run("retention", "run", "--attestation", str(place.attest(wrap))) == 0
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "second") == 0
    (late,) = set(place.holds()) - {hold}
    assert place.run("hold", "release", hold, "--reason", "over") == 3
    assert late in place.say()
    assert place.bodies()[first]
    assert place.run("hold", "release", late, "--reason", "that one keeps nothing") == 0
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "third") == 0
    assert place.run("hold", "release", hold, "--reason", "over", "--even-so") == 0
    assert not place.bodies()[first]


def test_who_is_on_record_is_the_account_and_not_what_the_environment_says(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "chief.constable")
    assert place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "r") == 0
    (hold,) = retention.state(load_config(place.config)).active
    assert hold.by == pwd.getpwuid(os.getuid()).pw_name


def test_while_there_are_holds_erasing_asks_whether_one_covers_it(place: Place) -> None:
    place.run("hold", "add", "--scope", "rule:veh.vrm", "--reason", "r")
    first, *_ = place.rids()
    order = str(place.order(first))
    assert place.run("erase", first, "--order", order) == 3
    assert "--not-held" in place.say()
    assert place.run("erase", first, "--order", order, "--not-held") == 0


def test_cases_are_opened_once_and_linked_by_holds(place: Place) -> None:
    assert place.run("case", "add", "PS/2026/114", "--title", "A complaint") == 0
    assert place.run("case", "add", "PS/2026/114", "--title", "Again") == 3
    assert place.run("case", "link", "PS/2026/114", "--scope", "rule:veh.vrm") == 0
    assert place.run("case", "link", "PS/2026/115", "--scope", "rule:veh.vrm") == 3
    assert place.run("case", "list") == 0
    said = place.say()
    assert "A complaint" in said
    assert "there is no case PS/2026/115" in said
    assert len(place.holds()) == 1


def test_what_a_hold_covers_is_nowhere_in_the_clear_on_the_host(place: Place) -> None:
    scope = 'person:"Sgt Colin Peregrine-Voss"'
    assert place.run("hold", "add", "--scope", "rule:peregrine.voss", "--reason", "r") == 0
    assert place.run("hold", "add", "--scope", scope, "--reason", "r") == 3  # nobody of that name
    raw = (place.folder / "ledger" / "ledger.db").read_bytes()
    assert b"peregrine" not in raw


def test_what_is_gone_is_not_erased_again(place: Place) -> None:
    first, *_ = place.rids()
    order = str(place.order(first))
    assert place.run("erase", first, "--order", order) == 0
    assert place.run("erase", first, "--order", order) == 3
    assert "gone already" in place.say()


@pytest.mark.parametrize(
    "arguments",
    [
        ("case", "add", "", "--title", "x"),
        ("case", "add", "PS/1", "--title", " "),
        ("hold", "add", "--scope", "rule:veh.vrm", "--reason", " "),
        ("hold", "add", "--scope", "from:2026-11-23 to:2026-11-22", "--reason", "r"),
    ],
)
def test_what_means_nothing_is_not_put_on_record(place: Place, arguments: tuple[str, ...]) -> None:
    assert place.run(*arguments) == 3
    assert place.holds() == []


@pytest.mark.parametrize("text", ["homeserver: x\n", "other.example/log\n1\nAAAA\n\n"])
def test_a_wrong_file_given_as_a_checkpoint_is_a_slip_and_no_alarm(place: Place, text: str) -> None:
    path = place.folder / "slip.txt"
    path.write_text(text)
    assert place.run("ledger", "verify", "--checkpoint", str(path)) == 3
    assert "slip.txt" in place.say()
