"""What reviewers decide in the console is carried out: once, by those who may, and on record."""

from __future__ import annotations

from dataclasses import replace

from bridge.duties.directing import UNSAID, Directing, Judged
from bridge.facts import Decision, Directed
from bridge.ledger.record import new_rid
from bridge.model import Action, EventId, Ms, Rid, UserId
from tests.making import ASHA, SOCIAL
from tests.unit.test_appeals import BEN, DAN, DIRECT, EWA, MONDAY, Court
from tests.unit.test_pipeline import OPERATIONAL

SIGN_INS = {"ben": BEN, "dan": DAN, "ewa": EWA, "asha khan": ASHA}


class Console(Court):
    """A court whose reviewers sit at the console."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.at = MONDAY
        self.made: list[tuple[Ms, Directed]] = []
        self.judged = {self.known: Judged(self.known, "veh.vrm", Action.NUDGE)}
        self.begin()

    def begin(self) -> None:
        """Follow what was decided, as a bot does that has just started."""
        self.directing = Directing(
            store=self.store,
            desk=self.desk,
            read=lambda: self.made,
            reviewer=SIGN_INS.get,
            verdict=lambda rid: self.judged.get(Rid(rid)),
            wake=self.settler.wake,
            weigh=self._weigh,
        )

    known = Rid("f" * 32)

    async def taken_out(self, words: str = OPERATIONAL) -> Rid:
        """Have a message of Asha's moved, about which nobody says anything; return the verdict."""
        await self.moved("$a", words)
        known = (await self.store.known([EventId("$a")]))[EventId("$a")]
        assert known.verdict is not None
        assert known.action is not None
        self.judged = {
            **self.judged,
            known.verdict: Judged(known.verdict, str(known.rule), known.action, EventId("$a")),
        }
        return known.verdict

    async def _weigh(self) -> None:
        self.ruled += 1

    async def direct(self, verdict: Rid, decision: Decision, by: str, reason: str = "") -> None:
        made = Directed(rid=new_rid(), verdict=verdict, decision=decision, by=by, reason=reason)
        self.made.append((self.clock(), made))
        await self.directing.once()
        await self.settled()


async def test_an_appeal_that_the_console_restores_is_put_back_and_told() -> None:
    world = Console()
    await world.appealed()
    verdict = (await world.docket()).appeal.verdict
    await world.direct(verdict, Decision.RESTORED, "dan", "it is a rota")
    docket = await world.docket()
    assert docket.decision is Decision.RESTORED
    assert docket.decided_by == DAN
    assert world.ruled == 1
    assert world.said(SOCIAL)


async def test_an_action_that_stands_says_so_with_the_reason_or_a_sentence_of_ours() -> None:
    for reason in ("it has an address", ""):
        world = Console()
        await world.appealed()
        await world.direct(
            (await world.docket()).appeal.verdict, Decision.ACTION_STANDS, "dan", reason
        )
        ((_, inside),) = world.of_kind("decision")
        assert inside["reason"] == (reason or UNSAID)
        assert (await world.docket()).decision is Decision.ACTION_STANDS


async def test_after_a_restart_nothing_is_carried_out_twice() -> None:
    world = Console()
    await world.appealed()
    await world.direct((await world.docket()).appeal.verdict, Decision.ACTION_STANDS, "dan", "so")
    before = len(world.of_kind("decision"))
    world.begin()
    await world.directing.once()
    assert len(world.of_kind("decision")) == before == 1


async def test_what_nobody_appealed_counts_for_the_rule_once() -> None:
    world = Console()
    await world.direct(world.known, Decision.FALSE_POSITIVE, "ewa")
    world.begin()
    await world.directing.once()
    ((head, inside),) = world.of_kind("decision")
    assert (head["status"], head["rule"]) == ("false_positive", "veh.vrm")
    assert UserId(str(inside["by"])) == EWA
    assert world.ruled == 1


async def test_who_may_not_decide_decides_nothing_and_that_is_noted() -> None:
    world = Console()
    await world.appealed()
    await world.direct((await world.docket()).appeal.verdict, Decision.RESTORED, "asha")
    assert (await world.docket()).open
    assert "not followed" in str(world.of_kind("note")[-1][1]["text"])


async def test_what_was_decided_before_an_appeal_does_not_answer_it_also_after_a_restart() -> None:
    """A second opinion is by somebody who has looked a second time."""
    world = Console()
    request = await world.appealed()
    verdict = (await world.docket()).appeal.verdict
    await world.decided(request, "❌", DAN, "It names a vehicle")
    await world.direct(verdict, Decision.ACTION_STANDS, "ewa", "too late: Dan has decided")
    world.clock.move(600_000)
    await world.reply(world.last(DIRECT, "A person agreed").event, "again", ASHA, DIRECT)
    world.begin()
    await world.directing.once()
    second = await world.docket()
    assert (second.appeal.round, second.open) == (2, True)
    await world.direct(verdict, Decision.RESTORED, "ewa")
    assert (await world.docket()).decided_by == EWA


async def test_what_was_referred_on_without_an_appeal_is_decided_by_somebody_else() -> None:
    world = Console()
    await world.direct(world.known, Decision.REFERRED, "dan", "ask Ewa")
    world.clock.move(600_000)
    await world.direct(world.known, Decision.FALSE_POSITIVE, "ewa", "wrong")
    statuses = [head["status"] for head, _ in world.of_kind("decision")]
    assert statuses == ["referred", "false_positive"]
    world.begin()
    await world.directing.once()
    assert len(world.of_kind("decision")) == 2


async def test_what_nobody_appealed_is_put_back_once_and_its_sender_is_told() -> None:
    world = Console()
    verdict = await world.taken_out()
    await world.direct(verdict, Decision.RESTORED, "dan", "it is a rota")
    assert [text for text in world.said(SOCIAL) if OPERATIONAL in text]
    assert world.said(DIRECT, "It is back in")
    ((head, inside),) = world.of_kind("decision")
    assert (head["status"], head["ref"]) == ("restored", verdict)
    assert "appeal" not in head, "nobody appealed"
    assert inside["by"] == DAN
    sent = len(world.sent)
    world.begin()
    await world.directing.once()
    await world.settled()
    assert len(world.sent) == sent
    assert len(world.of_kind("decision")) == 1


async def test_where_nothing_was_removed_nothing_is_put_back() -> None:
    world = Console()
    await world.direct(world.known, Decision.RESTORED, "dan", "it is a rota")
    ((head, _),) = world.of_kind("decision")
    assert head["status"] == "false_positive"
    assert world.sent == []


async def test_what_is_not_known_any_more_is_not_said_to_be_put_back() -> None:
    world = Console()
    verdict = await world.taken_out()
    world.judged = {verdict: Judged(verdict, "veh.vrm", Action.REDIRECT)}
    await world.direct(verdict, Decision.RESTORED, "dan", "it is a rota")
    assert world.of_kind("decision") == []
    assert "cannot be put back" in str(world.of_kind("note")[-1][1]["text"])


async def test_nobody_decides_about_their_own_message_that_nobody_appealed() -> None:
    world = Console()
    verdict = await world.taken_out()
    await world.direct(verdict, Decision.RESTORED, "asha khan", "it is mine")
    assert world.of_kind("decision") == []
    head, inside = world.of_kind("note")[-1]
    assert (head["ref"], head["status"]) == (verdict, "refused")
    assert "yours" in str(inside["text"])


async def test_a_refusal_names_only_what_is_on_record() -> None:
    """A record that refers to none would make the whole ledger unsound."""
    world = Console()
    await world.direct(Rid("0" * 32), Decision.RESTORED, "dan", "what is this?")
    head, _ = world.of_kind("note")[-1]
    assert "ref" not in head
    assert "status" not in head


async def test_a_decision_stays_carried_out_when_whoever_made_it_has_left() -> None:
    world = Console()
    await world.direct(world.known, Decision.FALSE_POSITIVE, "ewa")
    before = len(world.of_kind("note"))
    world.begin()
    world.directing.reviewer = lambda _: None
    await world.directing.once()
    assert len(world.of_kind("note")) == before


async def test_what_was_refused_is_not_carried_out_later_by_a_restart() -> None:
    """It waits for another decision, and people have been told so."""
    world = Console()
    await world.direct(world.known, Decision.FALSE_POSITIVE, "nobody")
    notes = len(world.of_kind("note"))
    world.judged = {world.known: replace(world.judged[world.known], refused=world.clock())}
    world.begin()
    world.directing.reviewer = lambda _: EWA
    await world.directing.once()
    assert world.of_kind("decision") == []
    assert len(world.of_kind("note")) == notes
