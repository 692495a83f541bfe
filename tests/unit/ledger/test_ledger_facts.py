"""Each fact becomes the records of the table in docs/ledger.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.facts import (
    Adjudicated,
    Appraised,
    Beat,
    Braked,
    Care,
    CaseOpened,
    Cleared,
    Decided,
    Decision,
    Directed,
    Disclosed,
    Disposed,
    Drifted,
    Erased,
    Examined,
    Fact,
    Fate,
    Granted,
    Held,
    Labelled,
    Minuted,
    Missed,
    Mode,
    Noted,
    Notice,
    Performed,
    PolicyApproved,
    PolicyLoaded,
    Progress,
    Released,
    Reported,
    Seen,
    Told,
    Viewed,
)
from bridge.ledger.facts import (
    Owed,
    decode_effect,
    drafts,
    effect_name,
    encode_effect,
)
from bridge.ledger.record import Draft
from bridge.model import (
    Choice,
    Copy,
    Effect,
    EventId,
    Gap,
    Moment,
    Ms,
    Notify,
    Outcome,
    Queue,
    Redact,
    Refer,
    Rid,
    RoomClass,
    RoomId,
    Status,
    UserId,
    Verdict,
    key,
)
from bridge.model import Kind as MessageKind
from bridge.verify.headers import ALWAYS, MAY, MUST, PLAIN, Kind
from tests.making import RETENTION, SECURE, SOCIAL, say
from tests.unit.ledger.forging import CLEAN, MOVE

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
EFFECTS: st.SearchStrategy[Effect] = st.one_of(
    st.builds(Copy, room=TEXTS.map(RoomId), about=TEXTS.map(EventId), to=TEXTS.map(RoomId),
              reason=TEXTS),
    st.builds(Redact, room=TEXTS.map(RoomId), about=TEXTS.map(EventId), reason=TEXTS),
    st.builds(Notify, room=TEXTS.map(RoomId), about=TEXTS.map(EventId), to=TEXTS.map(UserId),
              moment=st.sampled_from(Moment), reason=TEXTS),
    st.builds(Refer, room=TEXTS.map(RoomId), about=TEXTS.map(EventId),
              queue=st.sampled_from(Queue), to=TEXTS.map(RoomId), reason=TEXTS),
    st.builds(Choice, room=TEXTS.map(RoomId), about=TEXTS.map(EventId), user=TEXTS.map(UserId),
              reason=TEXTS),
)  # fmt: skip
REDACT = Redact(room=SOCIAL, about=EventId("$a"), reason="Moved")
ABOUT = Rid("aa" * 16)
DEBT = Rid("dd" * 16)
NOTICE = Notice(
    rid=DEBT, room=SOCIAL, cls=RoomClass.SOCIAL, card="c" * 64, revision="r1", name="n",
    to=(UserId("@asha:force.example"),), private=False, words="kept 90 days",
)  # fmt: skip


@dataclass
class Past:
    events: Mapping[str, Rid] = field(default_factory=dict)
    debts: Mapping[str, Owed] = field(default_factory=dict)

    def rid_of(self, event: EventId) -> Rid | None:
        return self.events.get(event)

    def debt(self, key: str) -> Owed | None:
        return self.debts.get(key)


PAST = Past(
    {"$a": ABOUT},
    {key(REDACT): Owed(rid=DEBT, retention="social", effect="redact", message=ABOUT)},
)


def made(fact: Fact, past: Past = PAST) -> list[Draft]:
    found = list(drafts(fact, past, RETENTION))
    for draft in found:
        told = set(draft.fields) | set(draft.tagged)
        sealed = set[str]() if draft.kind in PLAIN else {"bucket", "epoch", "kc"}
        sealed |= {"bucket"} if draft.kind is Kind.REPORT else set()  # the sealer's part
        assert MUST[draft.kind] <= told | sealed <= MAY[draft.kind]
        assert not told & ALWAYS
        msgspec.json.decode(draft.body)
    return found


@given(EFFECTS)
def test_every_effect_is_read_back_as_it_was_written(effect: Effect) -> None:
    raw = encode_effect(effect)
    assert decode_effect(raw) == effect
    assert msgspec.json.decode(raw)["effect"] == effect_name(effect)
    assert key(decode_effect(raw)) == key(effect)


@pytest.mark.parametrize(
    ("ours", "kind"),
    [
        (MessageKind.TEXT, Kind.MESSAGE),
        (MessageKind.MEDIA, Kind.MESSAGE),
        (MessageKind.UNREADABLE, Kind.UNDECRYPTABLE),
        (MessageKind.MEMBERSHIP, Kind.MEMBERSHIP),
        (MessageKind.STATE, Kind.STATE),
        (MessageKind.OTHER, Kind.EVENT),
    ],
)
def test_what_is_seen_is_recorded_by_its_kind(ours: MessageKind, kind: Kind) -> None:
    (draft,) = made(Seen(message=say("$n", kind=ours), cls=RoomClass.SOCIAL))
    assert draft.kind is kind
    assert draft.retention == "social"
    assert draft.fields == {"class": "social"}
    assert set(draft.tagged) == {"room", "sender", "event"}
    inside = msgspec.json.decode(draft.body)
    assert inside["event_id"] == "$n"
    assert inside["content"] == msgspec.json.decode(say("$n").content)


def test_a_clean_message_carries_its_verdict() -> None:
    (draft,) = made(Seen(message=say("$n"), cls=RoomClass.SOCIAL, clean=CLEAN))
    assert draft.fields == {"class": "social", "action": "allow", "revision": "r1"}


def test_a_late_message_refers_to_its_unreadable_record_and_an_edit_to_its_original() -> None:
    (late,) = made(Seen(message=say("$a", late=True), cls=RoomClass.SOCIAL))
    assert (late.kind, late.fields["ref"]) == (Kind.LATE, ABOUT)
    (edit,) = made(Seen(message=say("$e", replaces="$a"), cls=RoomClass.SOCIAL))
    assert (edit.kind, edit.fields["ref"]) == (Kind.MESSAGE, ABOUT)
    (stray,) = made(Seen(message=say("$e", replaces="$unknown"), cls=RoomClass.SOCIAL))
    assert "ref" not in stray.fields


def test_a_decision_is_a_verdict_and_its_debts_in_order() -> None:
    copy = Copy(room=SOCIAL, about=EventId("$a"), to=SECURE, reason="r")
    verdict = replace(MOVE, referrals=frozenset({Queue.MARKINGS, Queue.APPEALS}))
    fact = Decided(message=say("$a"), cls=RoomClass.SOCIAL, verdict=verdict, owes=(copy, REDACT))
    told, *owed = made(fact)
    assert told.kind is Kind.VERDICT
    assert told.fields == {
        "ref": ABOUT, "class": "social", "action": "redirect", "rule": "veh.vrm",
        "referrals": "appeals,markings", "revision": "r1",
    }  # fmt: skip
    assert [(d.kind, d.fields["effect"], d.fields["ref"]) for d in owed] == [
        (Kind.DEBT, "copy", ABOUT), (Kind.DEBT, "redact", ABOUT),
    ]  # fmt: skip
    assert msgspec.json.decode(owed[1].body)["key"] == key(REDACT)


def test_a_decision_about_nothing_on_record_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="never recorded"):
        made(Decided(message=say("$z"), cls=RoomClass.SOCIAL, verdict=MOVE))


def test_an_outcome_refers_to_its_debt_and_what_it_leads_to_refers_to_the_message() -> None:
    ask = Refer(
        room=SOCIAL, about=EventId("$a"), queue=Queue.ERRORS, to=RoomId("!review"), reason="r"
    )
    outcome = Outcome(key=key(REDACT), status=Status.REFUSED, detail="M_FORBIDDEN")
    done, owed = made(Performed(outcome=outcome, owes=(ask,)))
    assert done.fields == {"ref": DEBT, "effect": "redact", "status": "refused"}
    assert msgspec.json.decode(done.body) == {"key": key(REDACT), "detail": "M_FORBIDDEN"}
    assert (owed.kind, owed.fields["ref"], owed.retention) == (Kind.DEBT, ABOUT, "social")


def test_what_is_settled_twice_is_told_as_a_note() -> None:
    (draft,) = made(Performed(outcome=Outcome(key="0" * 32, status=Status.DONE)))
    assert draft.kind is Kind.NOTE
    assert msgspec.json.decode(draft.body)["text"] == "again"


def test_facts_about_the_bot_are_kept_with_the_systems_own_records() -> None:
    facts: dict[Kind, Fact] = {
        Kind.POLICY: PolicyLoaded(revision="r1", files=(("a.yaml", "00"),)),
        Kind.APPROVAL: PolicyApproved(revision="r1", by="@anna", account="root"),
        Kind.DECISION: Adjudicated(
            record=ABOUT, rule="veh.vrm", action=MOVE.action, decision=Decision.RESTORED, by="sgt"
        ),
        Kind.GAP: Missed(gap=Gap(room=SOCIAL, reason="gone")),
        Kind.BRAKE: Braked(room=None, on=True, by="sgt", reason="stop"),
        Kind.NOTE: Noted(text="started"),
        Kind.VIEW: Viewed(
            rid=DEBT, who="dsu", role="custodian psd", scope="kind:note", purpose="p", case=""
        ),
        Kind.GRANT: Granted(rid=DEBT, request=ABOUT, by="dci", scope="kind:note", count=2),
        Kind.DISCLOSURE: Disclosed(
            rid=DEBT,
            who="dsu",
            role="custodian psd",
            scope="kind:note",
            purpose="p",
            case="",
            recipient="the court",
            count=2,
            digest="00",
        ),
        Kind.DIRECTION: Directed(
            rid=DEBT, verdict=ABOUT, decision=Decision.RESTORED, by="sokoro", reason="a rota"
        ),
        Kind.EXAMINATION: Examined(view=ABOUT, by="dci", finding="as it should be"),
        Kind.CASE: CaseOpened(reference="PS/1", title="a complaint", by="dsu"),
        Kind.HOLD: Held(rid=DEBT, scope="room:x", case="PS/1", reason="r", by="dsu"),
        Kind.RELEASE: Released(hold=ABOUT, reason="closed", by="dsu"),
        Kind.DRIFT: Drifted(
            rid=DEBT, key="a-social", room=SOCIAL, care=Care.MENDING, sort="door", text="t"
        ),
        Kind.DISPOSAL: Cleared(rid=DEBT, room=SOCIAL, name="A social", messages=2, text="t"),
        Kind.APPRAISAL: Appraised(
            rid=DEBT, item="bucket:x", fate=Fate.RETAIN, reason="r", by="dsu", until=Ms(5)
        ),
        Kind.LABEL: Labelled(rid=DEBT, item="room:a", group=3, reason="r", by="dsu"),
        Kind.NOTICE: Told(notice=NOTICE, progress=Progress.DUE),
        Kind.SHRED: Disposed(bucket="social-2026-08", custodian="psd", attestation=b"{}", kept=()),
        Kind.ERASE: Erased(record=ABOUT, orders=b"{}"),
        Kind.HEARTBEAT: Beat(),
    }
    for kind, fact in facts.items():
        (draft,) = made(fact)
        assert (draft.kind, draft.retention) == (kind, "system")
    (gap,) = made(facts[Kind.GAP])
    assert gap.tagged == {"room": SOCIAL}
    (room,) = made(Braked(room=SOCIAL, on=False, by="sgt", reason="fine"))
    assert (room.tagged, room.fields) == ({"room": SOCIAL}, {"status": "off"})


def test_no_word_of_a_message_and_no_name_stands_in_the_clear() -> None:
    message = say("$a", "AB12 CDE is on the drive")
    verdict = Verdict(action=MOVE.action, rule="veh.vrm", reason="a registration", revision="r1")
    facts: list[Fact] = [
        Seen(message=message, cls=RoomClass.SOCIAL),
        Decided(message=message, cls=RoomClass.SOCIAL, verdict=verdict, owes=(REDACT,)),
        Braked(room=SOCIAL, on=True, by="sgt Reyes", reason="stop"),
    ]
    for fact in facts:
        for draft in made(fact):
            clear = " ".join(str(value) for value in draft.fields.values())
            for secret in ("AB12", "drive", "@asha", "!social", "$a", "Reyes", "stop"):
                assert secret not in clear


def test_what_somebody_was_told_refers_to_the_first_record_about_it_and_names_nobody() -> None:
    (due,) = made(Told(notice=NOTICE, progress=Progress.DUE))
    assert due.rid == DEBT
    assert due.fields == {
        "class": "social", "status": "due", "revision": "r1", "card": "c" * 64
    }  # fmt: skip
    inside = msgspec.json.decode(due.body)
    assert (inside["to"], inside["words"]) == (["@asha:force.example"], "kept 90 days")
    asha = UserId("@asha:force.example")
    (said,) = made(Told(
        notice=NOTICE, progress=Progress.ACKNOWLEDGED, event=EventId("$a"), by=asha
    ))  # fmt: skip
    assert said.rid != DEBT
    assert (said.fields["ref"], said.fields["status"]) == (DEBT, "acknowledged")
    assert said.tagged == {"room": SOCIAL, "event": "$a", "sender": asha}
    assert "words" not in msgspec.json.decode(said.body)
    (stands,) = made(Told(notice=NOTICE, progress=Progress.STANDS, revision="r2"))
    assert (stands.fields["revision"], stands.fields["card"]) == ("r2", "c" * 64)


def test_a_minuted_decision_refers_to_the_message_in_which_it_was_made() -> None:
    message = say("$a", "!decision no pursuit \ud800")
    fact = Minuted(
        rid=DEBT, message=message, cls=RoomClass.OPERATIONAL, number=3, words="no pursuit \ud800"
    )
    (draft,) = made(fact)
    assert (draft.kind, draft.rid, draft.retention) == (Kind.MINUTE, DEBT, "operational")
    assert draft.fields == {"ref": ABOUT, "class": "operational"}
    inside = msgspec.json.decode(draft.body)
    assert (inside["number"], inside["words"]) == (3, "no pursuit \\ud800")
    with pytest.raises(ValueError, match="never recorded"):
        made(replace(fact, message=say("$other")))


def test_a_report_says_nothing_in_the_clear_and_is_kept_as_long_as_referrals() -> None:
    fact = Reported(rid=DEBT, message=say("$a", "!report it"), words="it")
    (draft,) = made(fact)
    assert (draft.kind, draft.rid, draft.retention) == (Kind.REPORT, DEBT, "operational")
    assert (draft.fields, draft.tagged) == ({}, {})
    assert msgspec.json.decode(draft.body)["words"] == "it"


def test_a_brake_says_until_when_and_that_it_is_an_incident() -> None:
    stop = Braked(room=SOCIAL, on=True, by="sgt", reason="flood")
    (plain,) = made(stop)
    assert "mode" not in msgspec.json.decode(plain.body)
    (timed,) = made(replace(stop, mode=Mode.INCIDENT, until=Ms(7)))
    inside = msgspec.json.decode(timed.body)
    assert (inside["mode"], inside["until"]) == ("incident", 7)


def test_a_verdict_that_is_held_says_why() -> None:
    decided = Decided(message=say("$a"), cls=RoomClass.SOCIAL, verdict=MOVE, held="incident")
    (draft,) = made(decided)
    assert msgspec.json.decode(draft.body)["held"] == "incident"


def test_a_lone_surrogate_in_a_type_does_not_stop_the_ledger() -> None:
    (draft,) = made(Seen(message=replace(say("$n"), type="\ud800x"), cls=RoomClass.SOCIAL))
    assert msgspec.json.decode(draft.body)["type"] == "\\ud800x"
