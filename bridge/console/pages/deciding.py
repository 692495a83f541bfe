"""Who may decide a matter, what each decision will do, and what keeps one from being carried out.

Never decides, and never promises more than the bot does: it asks the bot's own rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bridge.console.desk import Here
from bridge.facts import Appeal, Decision
from bridge.model import Action, EventId, Ms, Rid, RoomClass, RoomId, UserId
from bridge.officers.bench import DECIDES, OWN, Bench
from bridge.records.archive import Sight, Stack
from bridge.records.followed import Followed
from bridge.store.entries import Entry
from bridge.verify.headers import Kind

#: Debts of what takes a message out of its room, and of what brings it back.
_OUT, _BACK = frozenset({"copy", "redact", "close"}), "restore"


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision, and what will happen if it is made."""

    value: Decision
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An appeal, as far as it opens."""

    entry: Entry
    round: int
    #: By when it was promised an answer, ms.
    due: Ms

    @property
    def at(self) -> int:
        """When it was raised, ms."""
        return self.entry.t


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A matter, as far as it decides who may decide it, and what that does."""

    verdict: Entry
    appeal: Raised | None
    #: The message is out of its room because of it.
    is_out: bool
    #: Whose message it is and where; None where it does not open.
    sender: UserId | None
    room: RoomId | None
    #: Who gave the first decision, as far as that opens.
    first: UserId | None = None
    #: Somebody has decided since it was raised, here or in the review room.
    settled: bool = False


def case_of(at: Here, stack: Stack, sight: Sight, entry: Entry) -> Case:
    """Gather what stands in the ledger about one verdict."""
    about = stack.index.about([entry.rid])
    raised = [e for e in about if e.facet.kind == Kind.APPEAL and e.facet.has("raised")]
    decided = [e for e in about if e.facet.kind == Kind.DECISION and not e.facet.has("referred")]
    owed = {
        word
        for one in stack.index.about([entry.ref])
        if one.facet.kind == Kind.DEBT
        for word in one.facet.what.split()
    }
    inside = _inside(stack, sight, stack.index.get([entry.ref]).get(entry.ref))
    sender, room = inside.get("sender"), inside.get("room")
    since = raised[-1].id if raised else entry.id
    first = _inside(stack, sight, decided[-1]).get("by") if decided and len(raised) > 1 else None
    return Case(
        verdict=entry,
        appeal=_raised(at, stack, sight, raised) if raised else None,
        is_out=bool(owed & _OUT) and _BACK not in owed,
        sender=UserId(sender) if isinstance(sender, str) else None,
        room=RoomId(room) if isinstance(room, str) else None,
        first=UserId(first) if isinstance(first, str) else None,
        settled=any(one.id > since for one in decided),
    )


def _raised(at: Here, stack: Stack, sight: Sight, raised: list[Entry]) -> Raised:
    due = _inside(stack, sight, raised[-1]).get("due")
    # Where it does not open: the same date, as it follows from the hours of config.yaml.
    known = Ms(due) if isinstance(due, int) else promised(at, raised[-1])
    return Raised(raised[-1], len(raised), known)


def promised(at: Here, appeal: Entry) -> Ms:
    """By when an appeal was promised an answer."""
    return at.desk.config.appeals.due(Ms(appeal.t))


def _inside(stack: Stack, sight: Sight, entry: Entry | None) -> Mapping[str, object]:
    for one in sight.open(stack, [entry] if entry else []):
        found = msgspec.json.decode(one.inside) if one.inside else {}
        return found if isinstance(found, dict) else {}
    return {}


def choices(case: Case, *, conduct: bool) -> list[Choice]:
    """What can be decided about a matter, and what exactly comes of each."""
    return _appealed(case) if case.appeal else _unasked(case, conduct=conduct)


def _appealed(case: Case) -> list[Choice]:
    again = " They can ask for a second opinion." if case.appeal and case.appeal.round == 1 else ""
    stands = "What was done stands. Its sender is told so, with your reason."
    right = (
        Choice(Decision.RESTORED, "Agree with the officer", f"{_back(case)} It counts against the "
               "rule.")
        if case.is_out
        else Choice(Decision.FALSE_POSITIVE, "Agree with the officer", "The message is where it "
                    "was. Its sender is told that they were right. It counts against the rule.")
    )  # fmt: skip
    return [
        right,
        Choice(Decision.ACTION_STANDS, "Agree with the bot", stands + again),
        Choice(Decision.REFERRED, "Refer it on", "It stays open for somebody else, and its sender "
               "is told so."),
    ]  # fmt: skip


def _unasked(case: Case, *, conduct: bool) -> list[Choice]:
    nobody = "Nothing changes in the room, and nobody is told."
    if conduct:
        nobody += " What you do about it as professional standards is your own affair."
    found = []
    if case.is_out:
        found.append(Choice(Decision.RESTORED, "Agree with the officer", f"{_back(case)} It "
                            "counts against the rule."))  # fmt: skip
    leave = "False positive, and leave it out" if case.is_out else "False positive"
    return [
        *found,
        Choice(Decision.ACTION_STANDS, "Agree with the bot", f"The rule was right. {nobody}"),
        Choice(Decision.FALSE_POSITIVE, leave, f"The rule was wrong, and it counts. {nobody}"),
        Choice(Decision.REFERRED, "Refer it on", "It stays here for somebody else to decide. "
               "Blue Lamp tells nobody: ask them yourself."),
    ]  # fmt: skip


def _back(case: Case) -> str:
    if case.verdict.facet.action == Action.REDIRECT.name.lower():
        return (
            "The message goes back into the room from its copy, and its sender is told. Where "
            "there is no copy, they are told to send it again, and that message is let through."
        )
    return "Its sender is told to send it again, and their next message there is let through."


def bench_of(at: Here, case: Case) -> Bench | None:
    """Who may decide an appeal; None where that cannot be told here."""
    register, people, lock = at.desk.register()
    room = register.resolve(lock, people).get(case.room) if case.room else None
    if room is None or case.appeal is None or case.sender is None:
        return None
    verdict, raised = case.verdict, case.appeal
    appeal = Appeal(
        rid=Rid(raised.entry.rid), event=EventId(""), record=Rid(verdict.ref), room=room.id,
        cls=RoomClass(verdict.facet.cls), sender=case.sender, sent_at=Ms(0),
        verdict=Rid(verdict.rid), rule=verdict.facet.rule,
        action=Action[verdict.facet.action.upper()], round=raised.round, at=Ms(raised.at),
        due=raised.due,
    )  # fmt: skip
    return Bench(appeal=appeal, room=room, people=people, hours=at.desk.config.appeals,
                 first=case.first if raised.round > 1 else None)  # fmt: skip


def why_not(at: Here, case: Case, name: str, before: Followed | None) -> str:
    """Say why the bot would not follow a decision of whoever has the sign-in *name*."""
    person = at.desk.person(name)
    if person is None or not person.id:
        return "people.csv does not list your sign-in, and only what those decide is carried out"
    if not person.roles & DECIDES:
        return "people.csv does not list you as a reviewer"
    if before is not None and not before.direction.is_final and before.direction.by == name:
        return "you have passed it on; somebody else decides"
    if case.appeal is None:
        return OWN if case.sender == person.id else ""
    bench = bench_of(at, case)
    return bench.why_not(person.id, at.desk.clock()) if bench else ""


def deciders(at: Here, case: Case) -> tuple[str, ...]:
    """The names of those who may decide an appeal now."""
    bench = bench_of(at, case)
    return tuple(one.name for one in bench.deciders(at.desk.clock())) if bench else ()


def refusal(stack: Stack, sight: Sight | None, one: Followed) -> str:
    """Why the bot did not follow a decision, in its own words; empty where they do not open."""
    if sight is None or one.refused is None:
        return ""
    text = _inside(stack, sight, one.refused).get("text")
    return text.partition(": ")[2] if isinstance(text, str) else ""


def is_out_of_reach(at: Here, followed: Mapping[str, Followed]) -> bool:
    """Say whether decisions that are made here do not come to the bot.

    None runs here, and what was decided a day ago was never carried out.
    """
    now = at.desk.clock()
    return not is_bot_here(at) and any(one.is_lost(now) for one in followed.values())


def is_bot_here(at: Here) -> bool:
    """Say whether a bot runs on this machine now, as far as its socket shows."""
    return at.desk.config.socket.exists()
