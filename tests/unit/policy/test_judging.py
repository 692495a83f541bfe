"""Judging with the shipped policy: what is moved, what is left alone, and what never fails."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model import JUDGED, Action, Kind, Ms, Queue, Rid, RoomClass, Verdict
from bridge.policy import Hint, Policy, record_hint

from .shipped import message, shipped

SOCIAL = RoomClass.SOCIAL


def judge(body: str, cls: RoomClass = SOCIAL, formatted: str = "") -> Verdict:
    return shipped().judge(message(body, formatted=formatted), cls)


@pytest.mark.parametrize(
    "body",
    [
        "AB12 CDE just left the address, obs still on",
        "ab12cde seen by the tunnel again",
        "LK28 VNO pinged on the bypass",
        "A B 1 2 C D E is parked up outside his mum's",
        "ΑΒ12 СDЕ just left the address",  # noqa: RUF001 - look-alike letters
        "yankee echo two one kilo foxtrot november towards the ring road",
        "CAD 2217 is still open, she has rung back",
        "custody ref 04NB/2213/26 wants his solicitor",
        "crime number 42/88123/26 needs an update",
        "he's gone no comment, still in custody till tomorrow",
        "got one in custody, going no comment",
        "obs still on",
        "PNC ID 02/73319Z came back",
        "his phone 07700 900217 is off",
        "she lives at 22 Pellworth Road, SO58 3HD",
        "NHS no 401 023 2137 for the lad in resus",
    ],
)
def test_operational_talk_is_moved(body: str) -> None:
    verdict = judge(body)
    assert verdict.action is Action.REDIRECT, verdict
    assert verdict.rule is not None
    assert verdict.revision == shipped().revision


@pytest.mark.parametrize(
    "body",
    [
        "who's bringing milk",
        "overslept, be there in 20",
        "stuck behind a tractor on the A38",
        "rest day birthday for Priya, cake at 3",
        "can anyone swap my late Tuesday for an early",
        "custody suite has run out of tea bags",
        "my new number is 07700 900444",
        "selling the Corsa, AB12 CDE, long MOT",
        "BBQ at mine, 3 Sandpiper Close",
        "b4 the match buy 4d of them",
        "obs on the biscuit tin please",
        "no spoilers for Vera, who was the suspect",
        "secret santa draw is on friday",
        "",
    ],
)
def test_ordinary_chat_is_left_alone(body: str) -> None:
    assert judge(body).action is Action.ALLOW


def test_what_is_not_found_gets_the_one_clean_verdict() -> None:
    assert judge("milk") is judge("more milk")
    assert judge("milk").rule is None


def test_findings_lie_in_the_raw_body() -> None:
    body = "🚓 run ΑΒ12 СDЕ please"  # noqa: RUF001 - look-alike letters
    places = [body[found.start : found.end] for found in judge(body).findings]
    assert "ΑΒ12 СDЕ" in places  # noqa: RUF001


def test_findings_in_the_formatted_text_say_so_and_lie_in_it() -> None:
    formatted = "see <b>AB12</b> CDE"
    verdict = judge("see the picture", formatted=formatted)
    assert verdict.action is Action.REDIRECT
    (found,) = [f for f in verdict.findings if f.rule == "vehicle.vrm.current"]
    assert found.part == "formatted"
    assert formatted[found.start : found.end] == "AB12</b> CDE"


def test_the_reason_never_has_the_words_that_were_matched() -> None:
    verdict = judge("run LK19 ZXP for me")
    assert verdict.reason == "it has a vehicle registration"
    for rule in shipped().rules:
        assert not rule.reason.endswith(".")
        assert len(rule.reason) < 80


def test_a_quoted_parent_is_not_the_senders() -> None:
    body = "> <@moz:example.org> AB12 CDE is outside his house\n\nwill bring cake"
    assert judge(body).action is Action.ALLOW
    own = "> <@moz:example.org> bring cake\n\nAB12 CDE is outside his house"
    verdict = judge(own)
    assert verdict.action is Action.REDIRECT
    assert own[verdict.findings[0].start :].startswith("AB12 CDE")


def test_what_cannot_be_read_goes_to_a_person() -> None:
    verdict = shipped().judge(message("", kind=Kind.UNREADABLE), SOCIAL)
    assert verdict.rule == "builtin:unreadable"
    assert verdict.referrals == {Queue.UNDECRYPTABLE}


@pytest.mark.parametrize("kind", [Kind.MEMBERSHIP, Kind.STATE, Kind.OTHER])
def test_events_without_words_are_not_judged(kind: Kind) -> None:
    assert shipped().judge(message("AB12 CDE left", kind=kind), SOCIAL).rule is None


def test_captions_are_judged() -> None:
    verdict = shipped().judge(message("AB12 CDE outside his house", kind=Kind.MEDIA), SOCIAL)
    assert verdict.action is Action.REDIRECT


@pytest.mark.parametrize("cls", sorted(set(RoomClass) - JUDGED))
def test_rooms_where_operational_talk_is_at_home_are_not_judged(cls: RoomClass) -> None:
    assert judge("AB12 CDE just left the address", cls).action is Action.ALLOW


def test_a_room_with_guests_is_at_its_strictest() -> None:
    body = "0141 496 0723"
    assert judge(body, RoomClass.COMMUNITY).action > judge(body).action


def test_a_rule_that_fails_goes_to_a_person() -> None:
    class Broken:
        def sight(self, raw: str) -> None:
            raise RuntimeError(raw)

    policy: Policy = dataclasses.replace(shipped(), engine=Broken())  # type: ignore[arg-type]
    verdict = policy.judge(message("anything"), SOCIAL)
    assert verdict.rule == "builtin:error"
    assert verdict.referrals == {Queue.ERRORS}
    assert verdict.action is Action.ALLOW


def test_a_marking_above_the_ceiling_is_taken_out_without_a_copy() -> None:
    verdict = judge("SECRET - UK EYES ONLY\nthe plan is as follows")
    assert verdict.action is Action.QUARANTINE
    assert Queue.MARKINGS in verdict.referrals


def test_distress_is_never_moved_or_referred() -> None:
    verdict = judge(
        "can't stop thinking about the victim's mum, he's been charged and I can't sleep"
    )
    assert verdict.action is Action.ALLOW
    assert verdict.rule == "support.distress"
    assert not verdict.referrals
    with_reference = judge("can't stop thinking about that job, AB12 CDE and the little lad")
    assert with_reference.action is Action.NUDGE


def test_professional_standards_are_off_unless_switched_on() -> None:
    body = "looked my ex up on niche lol"
    assert judge(body).referrals == frozenset()
    assert all(not f.rule.startswith("conduct.") for f in judge(body).findings)
    verdict = shipped().with_conduct().judge(message(body), SOCIAL)
    assert verdict.referrals == {Queue.PROFESSIONAL_STANDARDS}
    assert verdict.action is Action.ALLOW


def test_what_is_surely_of_concern_should_not_wait() -> None:
    strict, concern = shipped().with_conduct(), message("looked my ex up on niche lol")

    def asked(escalate: int) -> frozenset[Queue]:
        here = dataclasses.replace(strict.classes[SOCIAL], escalate=escalate)
        policy = dataclasses.replace(strict, classes={**strict.classes, SOCIAL: here})
        return policy.judge(concern, SOCIAL).referrals

    score = shipped().with_conduct().judge(concern, SOCIAL).findings[0].confidence
    assert asked(score) == {Queue.PROFESSIONAL_STANDARDS, Queue.ESCALATED}
    assert asked(score + 1) == {Queue.PROFESSIONAL_STANDARDS}


def test_counter_speech_is_not_referred() -> None:
    body = "victim was called a paki and we have recorded it as a hate crime"
    verdict = shipped().with_conduct().judge(message(body), SOCIAL)
    assert not verdict.referrals


def test_weak_hints_of_the_last_minute_count_together() -> None:
    weak = message("MG11 is done", at=100_000)
    alone = shipped().judge(weak, SOCIAL)
    assert alone.action is Action.ALLOW
    assert 0 < alone.score < 40
    hints = [Hint(rid=Rid(f"{n}"), score=30, sent_at=Ms(90_000)) for n in range(2)]
    together = shipped().judge(weak, SOCIAL, hints=hints)
    assert together.action is Action.REDIRECT
    assert together.hints == ("0", "1")
    old = [dataclasses.replace(hint, sent_at=Ms(1)) for hint in hints]
    assert shipped().judge(weak, SOCIAL, hints=old) == alone
    assert shipped().judge(message("milk", at=100_000), SOCIAL, hints=hints).action is Action.ALLOW


def test_only_an_allowed_message_with_a_score_leaves_a_hint() -> None:
    rid = Rid("1")
    assert record_hint(rid, judge("MG11 is done"), Ms(5)) == Hint(rid=rid, score=35, sent_at=Ms(5))
    assert record_hint(rid, judge("milk"), Ms(5)) is None
    assert record_hint(rid, judge("AB12 CDE left the address"), Ms(5)) is None


@pytest.mark.parametrize("harmless", ["my car AB12CDE. ", "my mobile 07700 900123. "])
def test_harmless_places_do_not_hide_another_after_them(harmless: str) -> None:
    found = judge(harmless * 60 + "nothing else here at all " * 4 + "Run LK19 ZXP, suspect's in it")
    assert found.action is Action.REDIRECT


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(codec=None, exclude_categories=())),
    st.text(alphabet="<>/&;bpAB12 CDE\n\ud800\x00"),
)
def test_judging_is_total(body: str, formatted: str) -> None:
    verdict = judge(body, formatted=formatted)
    assert verdict.rule != "builtin:error"
    for found in verdict.findings:
        text = body if found.part == "body" else formatted
        assert 0 <= found.start < found.end <= len(text)


@pytest.mark.parametrize(
    "body",
    [
        "a\u0301\u0302" * 20_000,
        "\x00" * 65_536,
        "> <@" + "a>" * 30_000,
        "AB12 CDE " * 7_000,
        "<" * 65_536,
    ],
)
def test_huge_and_hostile_messages_get_a_verdict(body: str) -> None:
    assert judge(body, formatted=body).rule != "builtin:error"


@pytest.mark.parametrize(
    "text",
    [
        "he left in A B 1  2 C D E heading north",
        "suspect drove off, A B  1 2 C D E",
        "suspect drove off, A B 1 2 C D  E",
        "suspect rang from 0 7 7 0 0 9  0 0 1 2 3",
    ],
)
def test_one_gap_that_is_wider_hides_nothing_that_is_typed_apart(text: str) -> None:
    assert shipped().judge(message(text), RoomClass.SOCIAL).action is Action.REDIRECT


@pytest.mark.parametrize(
    "text",
    [
        "oh one two three four five six",
        "oh, one two, one two three",
        "score was zero one, zero two, one two, two two",
        "nought one two three four five six",
    ],
)
def test_counting_is_no_telephone_number(text: str) -> None:
    seen = {one.rule.id for one in shipped().look(message(text))}
    assert "contact.phone.spoken" not in seen
