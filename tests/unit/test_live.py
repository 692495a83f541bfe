"""The policy that decides follows its files, two people's approvals, and what people find."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from bridge.detect.rules import Mode
from bridge.facts import Adjudicated, Decision
from bridge.ledger.opening import Reader
from bridge.ledger.record import new_rid
from bridge.model import Action, Ms, Rid, RoomClass
from bridge.policy import Policy
from bridge.policy.load import load, revision_of
from bridge.policy.meaning import OPERATIONAL
from bridge.register import load_people
from bridge.running.control import Order
from bridge.running.live import WEIGH_MS, Live
from bridge.running.policydesk import Found, PolicyDesk
from bridge.running.shelf import Shelf
from bridge.store.memory import MemoryStore
from tests.making import ORIGIN, Hands, custodian, identity, say
from tests.unit.policy.shipped import CLASSES
from tests.unit.policy.test_loading import RULE
from tests.unit.policy.test_meaning import MODEL, TERMS

PSD = custodian()
HARSHER = RULE.replace("[misper]", "[misper, kebab]")
BROKEN = RULE.replace("  - id: a.rule", "  - idd: a.rule")
PEOPLE = """matrix_id,name,collar,team,rank,supervisor,console,roles
@anna:force.example,Anna Kelly,1001,,Insp,,anna,policy-officer
@ben:force.example,Ben Hughes,1002,,Sgt,,ben,policy-officer reviewer
@carl:force.example,Carl Ode,1003,,PC,,carl,reviewer
@dan:force.example,Dan Murray,1004,,PC,,,
"""


class Desk:
    """A policy folder, a store, and a review room that can be out of reach."""

    def __init__(
        self,
        folder: Path,
        *,
        two_people: bool = False,
        running: bool = True,
        shared_account: bool = True,
    ) -> None:
        self.folder, self.clock = folder / "policies", Hands()
        self.told: list[str] = []
        self.reachable = True
        self.verdicts: dict[str, Found] = {}
        self.write(RULE)
        self.store = MemoryStore(identity(PSD), self.clock)
        people = load_people(PEOPLE, "people.csv")
        self.live = Live(
            store=self.store,
            shelf=Shelf(folder / "copies"),
            folder=self.folder,
            crowd=lambda: len(people.persons),
            clock=self.clock,
            two_people=two_people,
            load=load,
            tell=self._tell,
            loaded=load(self.files()),
            running=running,
        )
        self.desk = PolicyDesk(
            live=self.live,
            people=lambda: people,
            find=self.verdicts.get,
            shared_account=shared_account,
        )

    async def _tell(self, _name: str, words: str, _since: Ms) -> bool:
        if self.reachable:
            self.told.append(words)
        return self.reachable

    def write(self, rule: str, classes: str = CLASSES) -> None:
        (self.folder / "rules").mkdir(parents=True, exist_ok=True)
        (self.folder / "classes.yaml").write_text(classes, encoding="utf-8")
        (self.folder / "rules" / "a.yaml").write_text(rule, encoding="utf-8")

    def write_model(self) -> None:
        (self.folder / "model.yaml").write_text(TERMS, encoding="utf-8")

    def files(self) -> Mapping[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*.yaml")
        }

    def digest(self) -> str:
        return revision_of(self.files())

    async def looks(self, times: int = 2) -> None:
        """Two looks: changed files are read once they have been left alone."""
        for _ in range(times):
            await self.live.once()

    def action(self, words: str) -> Action:
        return self.live.policy().judge(say("$a", words), RoomClass.SOCIAL).action

    def records(self, kind: str) -> list[tuple[dict[str, str | int], dict[str, object]]]:
        reader, found = Reader(ORIGIN, ["psd"], [PSD]), []
        for record in self.store.records:
            header = msgspec.json.decode(record.header, type=dict[str, str | int])
            reader.learn(header, record.body)
            if header["kind"] == kind:
                inside = msgspec.json.decode(reader.open(header, record.body))
                found.append((header, inside))
        return found

    def revisions(self) -> list[str]:
        return [str(header["revision"]) for header, _ in self.records("policy")]

    async def says(self, do: str, **more: str) -> tuple[bool, str]:
        answer = await self.desk.obey(Order(do=do, **more))  # type: ignore[arg-type]
        return answer.ok, answer.text

    async def rule(self, decision: Decision, times: int, action: Action = Action.REDIRECT) -> None:
        await self.store.append(
            [
                Adjudicated(
                    record=new_rid(), rule="a.rule", action=action, decision=decision, by="@anna"
                )
                for _ in range(times)
            ]
        )


# Files


async def test_changed_files_decide_once_they_were_left_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    await desk.looks()
    assert desk.action("kebab?") is Action.ALLOW
    desk.write(HARSHER)
    await desk.looks(1)
    assert desk.action("kebab?") is Action.ALLOW, "somebody may still be writing"
    await desk.looks(1)
    assert desk.action("kebab?") is Action.REDIRECT
    assert desk.live.policy().revision == desk.digest()
    assert desk.told == []


async def test_the_record_says_so_before_the_first_verdict_under_the_new_policy(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    seen: list[list[str]] = []
    append = desk.store.append

    async def slowly(*facts: object, **more: object) -> None:
        seen.append([desk.live.policy().revision])
        await append(*facts, **more)  # type: ignore[arg-type]
        seen.append([desk.live.policy().revision, *desk.revisions()])

    desk.store.append = slowly  # type: ignore[method-assign]
    old = desk.live.policy().revision
    desk.write(HARSHER)
    assert await desk.live.reload() == ""
    assert seen == [[old], [old, old, desk.digest()]]


async def test_what_only_touches_a_file_is_no_new_policy(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    await desk.looks()
    desk.write(RULE)
    await desk.looks()
    assert len(desk.revisions()) == 1


async def test_files_that_do_not_load_change_nothing_and_a_person_is_told_once(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    before = desk.live.policy()
    with capture_logs() as logs:
        desk.write(BROKEN)
        await desk.looks(4)
        desk.write(BROKEN + "# again\n")
        await desk.looks(4)
    assert desk.live.policy() is before
    why = "rules/a.yaml:2: unknown key 'idd'"
    assert [why in line["error"] for line in logs if line["event"] == "policy.refused"] == [1, 1]
    assert [why in str(inside["text"]) for _, inside in desk.records("note")] == [True, True]
    (told,) = desk.told
    assert why in told
    desk.write(HARSHER)
    await desk.looks()
    assert desk.action("kebab?") is Action.REDIRECT


async def test_what_could_not_be_said_is_said_later(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    desk.reachable = False
    desk.write(BROKEN)
    await desk.looks(3)
    assert desk.told == []
    desk.reachable = True
    await desk.looks(2)
    assert len(desk.told) == 1


async def test_a_folder_that_went_away_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    desk.folder.rename(tmp_path / "gone")
    await desk.looks(3)
    assert desk.action("misper") is Action.REDIRECT
    assert "no policy files" in desk.told[0]


async def test_a_policy_that_keeps_records_under_another_name_waits_for_a_restart(
    tmp_path: Path,
) -> None:
    """The store seals by retention class, and was opened with the old ones."""
    desk = Desk(tmp_path)
    await desk.live.begin()
    changed = CLASSES.replace("    retention: social\n", "    retention: operational\n", 1)
    desk.write(RULE, changed)
    assert "restart the bot" in await desk.live.reload()
    assert len(desk.revisions()) == 1


async def test_people_are_asked_to_renew_the_notices_of_rooms_when_they_no_longer_hold(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    on = "  enabled: yes\n  dpia: DPIA-2\n  approver: ACC Example\n"
    desk.write(RULE, CLASSES.replace("  enabled: no\n", on))
    await desk.looks(3)
    assert desk.live.policy().conduct.enabled
    assert "rooms apply" in desk.told[0]


async def test_a_signal_or_an_order_has_the_files_read_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    desk.write(HARSHER)
    desk.live.hurry()
    await desk.looks(1)
    assert desk.action("kebab?") is Action.REDIRECT
    desk.write(BROKEN)
    done, said = await desk.says("reload")
    assert not done
    assert "rules/a.yaml:2" in said
    desk.write(RULE)
    assert await desk.says("reload") == (True, f"{desk.digest()[:12]} decides.")


async def test_loading_does_not_keep_anything_else_waiting(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    loop, freed = asyncio.get_running_loop(), asyncio.Event()

    def slowly(files: Mapping[str, bytes]) -> Policy:
        loop.call_soon_threadsafe(freed.set)
        return load(files)

    desk.live.load = slowly
    desk.write(HARSHER)
    loading = asyncio.create_task(desk.live.reload())
    await freed.wait()
    assert not loading.done()
    assert desk.action("misper") is Action.REDIRECT
    await loading


async def test_what_was_live_is_kept_so_that_it_can_be_tried_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    first = desk.digest()
    desk.write(HARSHER)
    await desk.live.reload()
    for revision in (first, desk.digest()):
        assert load(desk.live.shelf.get(revision)).revision == revision


# Two people


async def test_with_two_people_the_folder_is_a_draft(tmp_path: Path) -> None:
    desk = Desk(tmp_path, two_people=True)
    await desk.live.begin()
    desk.write(HARSHER)
    await desk.looks(4)
    assert desk.action("kebab?") is Action.ALLOW
    assert not (await desk.says("reload"))[0]


async def test_two_policy_officers_make_a_draft_active(tmp_path: Path) -> None:
    desk = Desk(tmp_path, two_people=True)
    await desk.live.begin()
    desk.write(HARSHER)
    digest = desk.digest()
    done, said = await desk.says("activate", about=digest[:12], by="Anna Kelly", account="ak")
    assert done, said
    assert desk.action("kebab?") is Action.ALLOW
    _, status = await desk.says("policy")
    assert f"{digest}: approved by Anna Kelly; 1 more" in status
    done, said = await desk.says("activate", about=digest, by="1002", account="bh")
    assert said == f"2 people approve {digest[:12]}: it decides."
    assert desk.action("kebab?") is Action.REDIRECT
    _, status = await desk.says("policy")
    assert f"active   {digest}, 1 rules; approved by Anna Kelly and Ben Hughes" in status
    assert [(h["revision"], inside) for h, inside in desk.records("approval")] == [
        (digest, {"by": "@anna:force.example", "account": "ak"}),
        (digest, {"by": "@ben:force.example", "account": "bh"}),
    ]


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("Carl Ode", "is not listed as a policy-officer"),
        ("Dan Murray", "is not listed as a policy-officer"),
        ("Nobody", "is not listed as a policy-officer"),
        ("", "is not listed as a policy-officer"),
        ("anna", "has approved"),
    ],
)
async def test_nobody_else_can_be_the_second_and_nobody_can_be_both(
    tmp_path: Path, by: str, why: str
) -> None:
    desk = Desk(tmp_path, two_people=True)
    desk.write(HARSHER)
    await desk.says("activate", about=desk.digest(), by="Anna Kelly")
    done, said = await desk.says("activate", about=desk.digest(), by=by)
    assert not done
    assert why in said
    assert desk.action("kebab?") is Action.ALLOW
    assert len(desk.records("approval")) == 1


@pytest.mark.parametrize(
    ("account", "by", "why"),
    [
        ("ben", "Anna Kelly", "is Ben Hughes's, and not that of 'Anna Kelly'"),
        ("carl", "", "is not the sign-in (console) of a policy-officer"),
        ("dan", "Dan Murray", "is not the sign-in (console) of a policy-officer"),
        ("root", "Anna Kelly", "'accounts: shared'"),
        ("", "Anna Kelly", "is not the sign-in"),
        ("anna", "", "has approved"),
    ],
)
async def test_who_approves_is_whose_account_says_so(
    tmp_path: Path, account: str, by: str, why: str
) -> None:
    desk = Desk(tmp_path, two_people=True, shared_account=False)
    desk.write(HARSHER)
    done, said = await desk.says("activate", about=desk.digest(), account="anna")
    assert done, said
    done, said = await desk.says("activate", about=desk.digest(), by=by, account=account)
    assert not done
    assert why in said
    assert len(desk.records("approval")) == 1
    done, said = await desk.says("activate", about=desk.digest(), by="1002", account="ben")
    assert done, said
    assert desk.action("kebab?") is Action.REDIRECT


async def test_an_adjudication_is_on_record_with_the_account_that_made_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, shared_account=False)
    desk.verdicts["aa" * 16] = Found(rid=Rid("aa" * 16), rule="a.rule", action=Action.REDIRECT)
    said = {"about": "aa" * 16, "decision": "false-positive"}
    assert not (await desk.says("adjudicate", by="Carl Ode", account="dan", **said))[0]
    assert (await desk.says("adjudicate", account="carl", **said))[0]
    ((_, inside),) = desk.records("decision")
    assert inside == {"by": "@carl:force.example", "account": "carl"}


async def test_a_draft_that_changed_meanwhile_is_not_what_was_approved(tmp_path: Path) -> None:
    """What decides is the copy that both of them approved, byte for byte."""
    desk = Desk(tmp_path, two_people=True)
    desk.write(HARSHER)
    digest = desk.digest()
    await desk.says("activate", about=digest, by="Anna Kelly")
    desk.write(RULE.replace("[misper]", "[misper, milk float]"))
    done, _ = await desk.says("activate", about=digest, by="Ben Hughes")
    assert done
    assert desk.live.policy().revision == digest
    assert desk.action("kebab?") is Action.REDIRECT
    assert desk.action("milk float") is Action.ALLOW


async def test_a_draft_that_does_not_load_cannot_be_approved(tmp_path: Path) -> None:
    desk = Desk(tmp_path, two_people=True)
    desk.write(BROKEN)
    done, said = await desk.says("activate", about=desk.digest(), by="Anna Kelly")
    assert not done
    assert "rules/a.yaml:2" in said
    assert "does not load: rules/a.yaml:2" in (await desk.says("policy"))[1]
    assert desk.records("approval") == []


@pytest.mark.parametrize("digest", ["", "abc", "0" * 64, "../../etc/passwd"])
async def test_a_digest_of_nothing_is_refused(tmp_path: Path, digest: str) -> None:
    desk = Desk(tmp_path, two_people=True)
    done, said = await desk.says("activate", about=digest, by="Anna Kelly")
    assert not done
    assert "no policy here has the digest" in said


async def test_where_the_folder_decides_nobody_activates(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    done, said = await desk.says("activate", about=desk.digest(), by="Anna Kelly")
    assert not done
    assert "activation: two-people" in said


# Strength


async def test_a_rule_that_errs_too_often_loses_strength_at_once_and_a_person_is_told(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    await desk.live.begin()
    found = Found(rid=Rid("aa" * 16), rule="a.rule", action=Action.REDIRECT)
    desk.verdicts["aa" * 16] = found
    await desk.rule(Decision.FALSE_POSITIVE, 3)
    assert desk.action("misper") is Action.REDIRECT
    done, said = await desk.says(
        "adjudicate", about="aa" * 16, decision="false-positive", by="Carl Ode"
    )
    assert done
    assert "wrong 4 times of 4; it no longer moves messages" in said
    assert desk.action("misper") is Action.NUDGE
    await desk.looks(1)
    assert "The rule a.rule (A rule) loses strength" in desk.told[0]
    assert "rules/a.yaml:2" in desk.told[0]
    assert "weakened a.rule: nudge; wrong 4 times of 4" in (await desk.says("policy"))[1]
    header, inside = desk.records("policy")[-1]
    assert header["revision"] == desk.live.policy().revision != desk.digest()
    assert (inside["base"], inside["weakened"]) == (desk.digest(), {"a.rule": "nudge"})
    header, inside = desk.records("decision")[-1]
    assert (header["ref"], header["rule"], header["status"]) == (
        "aa" * 16, "a.rule", "false_positive"
    )  # fmt: skip
    assert inside == {"by": "@carl:force.example"}


async def test_a_weakened_rule_stays_so_after_a_restart_and_a_reload(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.rule(Decision.FALSE_POSITIVE, 4)
    await desk.live.begin()
    assert desk.action("misper") is Action.NUDGE
    desk.write(HARSHER)
    await desk.live.reload()
    assert desk.action("kebab?") is Action.NUDGE


async def test_a_rule_has_its_strength_again_when_its_errors_are_long_ago(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.rule(Decision.RESTORED, 4)
    await desk.live.begin()
    desk.clock.move(WEIGH_MS)
    await desk.looks(1)
    assert desk.told == []
    await desk.live.store.rulings(Ms(0))
    # The tests' keys last two months; what is old is the errors, not the clock.
    desk.store._rulings = {
        rid: (Ms(at - 91 * 86_400_000), one) for rid, (at, one) in desk.store._rulings.items()
    }
    desk.clock.move(WEIGH_MS)
    await desk.looks(2)
    assert desk.action("misper") is Action.REDIRECT
    assert "has its full strength again" in desk.told[0]


async def test_what_is_referred_counts_neither_way(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.rule(Decision.REFERRED, 50)
    await desk.live.begin()
    assert await desk.live.tallies() == {}
    assert desk.live.policy().reduced == {}


@pytest.mark.parametrize(
    ("about", "by", "decision", "why"),
    [
        ("aa" * 16, "Dan Murray", "false-positive", "not listed as a policy-officer or reviewer"),
        ("bb" * 16, "Carl Ode", "false-positive", "There is no verdict"),
        ("cc" * 16, "Carl Ode", "false-positive", "There is no verdict"),
        ("aa" * 16, "Carl Ode", "whatever", "is not one of: restored, action-stands"),
    ],
)
async def test_what_is_not_an_adjudication_is_refused(
    tmp_path: Path, about: str, by: str, decision: str, why: str
) -> None:
    desk = Desk(tmp_path)
    desk.verdicts["aa" * 16] = Found(rid=Rid("aa" * 16), rule="a.rule", action=Action.REDIRECT)
    desk.verdicts["cc" * 16] = Found(rid=Rid("cc" * 16), rule="", action=Action.ALLOW)
    done, said = await desk.says("adjudicate", about=about, by=by, decision=decision)
    assert not done
    assert why in said
    assert desk.records("decision") == []


async def test_a_bot_that_does_not_run_records_no_policy_as_loaded(tmp_path: Path) -> None:
    desk = Desk(tmp_path, two_people=True, running=False)
    desk.write(HARSHER)
    for by in ("Anna Kelly", "Ben Hughes"):
        assert (await desk.says("activate", about=desk.digest(), by=by))[0]
    assert desk.revisions() == []
    assert len(await desk.store.approvals()) == 2


def test_every_mode_that_a_rule_can_fall_to_has_its_words() -> None:
    from bridge.running.live import LOST  # noqa: PLC0415

    assert set(LOST) == {Mode.NUDGE, Mode.SHADOW}


async def test_a_model_that_takes_part_is_on_record_and_in_the_status(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write_model()
    desk.live.loaded = load(desk.files())
    desk.live.model = MODEL
    await desk.live.begin()
    now = desk.live.policy()
    assert now.revision != now.base == desk.digest()
    (inside,) = [one for _, one in desk.records("policy")]
    assert (inside["model"], inside["base"]) == (MODEL.digest, now.base)
    _, said = await desk.says("policy")
    assert f"model    {MODEL.digest}, enforce" in said
    assert "folder   the same" in said


async def test_that_the_model_is_not_used_is_told_once_recorded_and_logged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write_model()
    desk.live.loaded = load(desk.files())
    await desk.live.begin()
    desk.reachable = False
    with capture_logs() as logs:
        await desk.live.miss_model("model.onnx: it was changed")
    await desk.looks()
    desk.reachable = True
    await desk.looks(4)
    (told,) = desk.told
    assert told.startswith("The language model is not used: model.onnx: it was changed.")
    (note,) = [one for _, one in desk.records("note")]
    assert "Rules go on without it" in str(note["text"])
    assert [one["event"] for one in logs] == ["model.refused"]
    assert desk.live.policy().revision == desk.digest(), "rules decide as before"


async def test_a_model_that_people_find_wrong_loses_strength_and_people_are_told(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.write_model()
    desk.live.loaded = load(desk.files())
    desk.live.model = MODEL
    await desk.live.begin()
    wrong = [
        Adjudicated(
            record=new_rid(), rule=OPERATIONAL, action=Action.NUDGE,
            decision=Decision.FALSE_POSITIVE, by="@carl:force.example",
        )
        for _ in range(60)
    ]  # fmt: skip
    await desk.store.append(wrong)
    await desk.live.weigh()
    now = desk.live.policy()
    assert now.reduced[OPERATIONAL].mode is Mode.SHADOW
    assert not now.model_moves
    await desk.looks()
    assert "The rule model:operational" in desk.told[0]
