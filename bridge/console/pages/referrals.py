"""Referrals and appeals: what the bot asks people, and what they decide.

Never decides by itself, and never shows a professional-standards matter to anybody but that role:
there, who it is about stays hidden until somebody says why they have to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from bridge.console.desk import Here, Said, here, see_other, text_of
from bridge.console.pages import deciding
from bridge.console.pages.deciding import Case
from bridge.console.pages.reading import CONDUCT, TALK, Hide, choose, hidden_from, read
from bridge.console.rights import Right
from bridge.facts import Decision, Directed
from bridge.ledger.record import new_rid
from bridge.model import Queue, Rid
from bridge.records.archive import Sight, Stack, find_one
from bridge.records.conversation import Item
from bridge.records.figures import MOST, Matter, is_cut, matters
from bridge.records.followed import Followed, final, follow
from bridge.store.directions import Direction
from bridge.store.entries import END, HIDDEN, Entry, Filter
from bridge.store.journal import Category
from bridge.verify.headers import Kind

#: Queues that reviewers look after.
REVIEWED = tuple(queue.value for queue in Queue if queue.value not in HIDDEN)
#: Marks a matter that professional standards should not let wait.
URGENT = Queue.ESCALATED.value
OUT_OF_REACH = (
    "Nothing was recorded: decisions that are made here do not reach the bot. None runs on this "
    "machine, and what was decided a day ago was never carried out. Decide in the review room."
)
#: Of what was said around a referral, so many messages on each side.
_AROUND = 6
#: So many matters on a page.
PER_PAGE = 100
#: How many of those that were decided here are shown.
_RECENT = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One matter in the list."""

    matter: Matter
    #: The message that it is about, as far as it opens.
    item: Item | None
    #: By when its sender was promised an answer, ms; None where nobody appealed.
    due: int | None = None
    #: What was decided here and refused by the bot, and why as far as that opens.
    refused: Followed | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of the list, and what there is besides."""

    matters: list[Matter]
    number: int
    count: int
    #: Older matters are not looked at.
    is_cut: bool
    followed: Mapping[str, Followed]

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.count // PER_PAGE))


async def show(request: web.Request) -> web.Response:
    """List what waits for a reviewer."""
    at = here(request)
    queue = request.query.get("queue", "")
    queues = frozenset({queue} if queue in REVIEWED else REVIEWED)
    return await _list(at, queues, "referrals.html", queue=queue, every=REVIEWED)


async def show_conduct(request: web.Request) -> web.Response:
    """List what waits for professional standards; who it is about is hidden."""
    return await _list(here(request), frozenset({CONDUCT}), "conduct.html")


async def _list(at: Here, queues: frozenset[str], template: str, **more: object) -> web.Response:
    done, sight = await at.desk.decided(), _sight(at)
    conduct = queues == {CONDUCT}
    page = at.request.query.get("page", "1")
    number = max(1, int(page)) if page.isdigit() and len(page) < 6 else 1
    sheet = await at.work(lambda stack: _sheet(at, stack, queues, done, number))
    if sight is not None and sheet.matters:
        scope = " ".join(sorted(queues))
        await at.look(f"referrals:{scope}", "read the list of referrals", count=len(sheet.matters),
                      review=sight is at.visit.review, conduct=conduct)  # fmt: skip
    hide, now = hidden_from(at), at.desk.clock()
    lines = await at.work(lambda stack: _lines(at, stack, sight, sheet, hide))
    # What this person may not know of is not there, and so not among these either.
    known = await at.work(lambda stack: stack.index.get(done))
    made = sorted(
        ((rid, one) for rid, one in sheet.followed.items()
         if rid in known and is_conduct(known[rid]) == conduct),
        key=lambda one: -one[1].direction.at,
    )  # fmt: skip
    values = {
        "lines": lines, "open": sight is not None, "sheet": sheet, "most": MOST, "per": PER_PAGE,
        "urgent": URGENT,
        "recent": [(rid, one.direction, one) for rid, one in made][:_RECENT],
        "late": [(rid, one.direction) for rid, one in made if one.is_late(now)],
        "bot_here": deciding.is_bot_here(at), **more,
    }  # fmt: skip
    return at.page(template, **values)  # type: ignore[arg-type]


def _sheet(
    at: Here, stack: Stack, queues: frozenset[str], done: Mapping[str, Direction], number: int
) -> Sheet:
    """The matters of one page: what was promised first, oldest date first; then the oldest."""
    followed = follow(stack, done)
    conduct = queues == {CONDUCT}
    found = [
        one for one in matters(stack, queues, final(followed))
        if conduct or not is_conduct(one.verdict)
    ]  # fmt: skip
    found.sort(key=lambda one: (one.appeal is None, _due(at, one) or one.at))
    start = (number - 1) * PER_PAGE
    return Sheet(found[start : start + PER_PAGE], number, len(found), is_cut(stack, queues),
                 followed)  # fmt: skip


def _due(at: Here, matter: Matter) -> int | None:
    return deciding.promised(at, matter.appeal) if matter.appeal else None


async def show_one(request: web.Request) -> web.Response:
    """Show one matter: what was said, what was decided and why, and what is around it."""
    at = here(request)
    entry = await _find(at, request)
    sight, review = choose(at)
    await at.look(f"rid:{entry.rid}", "read a referral", count=1, review=review,
                  conduct=is_conduct(entry))  # fmt: skip
    hide, conduct = hidden_from(at), is_conduct(entry)
    around = await at.work(lambda stack: _around(stack, sight, entry, hide))
    standing = await _standing(at, entry, sight)
    case, before = standing.case, standing.before
    hidden = conduct and entry.rid not in at.visit.revealed
    why, refusal = standing.why, ""
    if before is not None and before.refused is not None:
        refusal = await at.work(lambda stack: deciding.refusal(stack, sight, before))
        refusal = refusal or deciding.why_not(at, case, before.direction.by, None)
    if hidden and case.sender is not None:  # a team or a name would say who it is
        why, refusal = _unnamed(why), _unnamed(refusal)
    return at.page(
        "referral.html", entry=entry, items=around, before=before, refusal=refusal,
        choices=deciding.choices(case, conduct=conduct), why=why, closed=standing.closed,
        who=() if hidden else deciding.deciders(at, case), conduct=conduct, hidden=hidden,
        appeal=case.appeal, message=entry.ref, review=review, bot=at.desk.config.user,
        bot_here=deciding.is_bot_here(at), reaches=standing.reaches,
        late=before is not None and before.is_late(at.desk.clock()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How a matter stands for whoever looks at it."""

    case: Case
    before: Followed | None
    #: Why this person cannot decide it; empty if they can.
    why: str
    #: Who has decided it, so that nobody else does; empty where it is open.
    closed: str
    #: Decisions that are made here come to the bot.
    reaches: bool


async def _standing(at: Here, entry: Entry, sight: Sight) -> Standing:
    done = await at.desk.decided()

    def read(stack: Stack) -> tuple[Case, dict[str, Followed], bool]:
        followed = follow(stack, done)
        return (
            deciding.case_of(at, stack, sight, entry), followed,
            _is_open(stack, entry, final(followed)),
        )  # fmt: skip

    case, followed, again = await at.work(read)
    before = followed.get(entry.rid)
    closed = ""
    if before is not None and before.direction.is_final and not before.refused and not again:
        closed = before.direction.by
    elif case.settled:
        closed = "Somebody"
    return Standing(
        case, before, deciding.why_not(at, case, at.session.name, before), closed,
        not deciding.is_out_of_reach(at, followed),
    )  # fmt: skip


def _unnamed(why: str) -> str:
    if why.startswith("somebody outside"):
        return "somebody outside the team of whoever wrote it decides"
    return why


async def decide(request: web.Request) -> web.Response:
    """Put a decision on record, if the bot will follow it."""
    at, form = here(request), await request.post()
    entry = await _find(at, request)
    sight, _ = choose(at)
    given, reason = text_of(form, "decision", 30), text_of(form, "reason", 1000)
    standing = await _standing(at, entry, sight)
    conduct = is_conduct(entry)
    offered = {one.value.value: one for one in deciding.choices(standing.case, conduct=conduct)}
    if given not in offered:
        raise Said("Select what you decide.")
    if not reason:
        raise Said("Say why: the reason is recorded with the decision.")
    if standing.closed:
        raise Said(f"{standing.closed} has decided this already.", 409)
    if standing.why:
        hidden = conduct and entry.rid not in at.visit.revealed
        why = _unnamed(standing.why) if hidden else standing.why
        raise Said(f"You cannot decide this one: {why}. Nothing was recorded.", 403)
    if not standing.reaches:
        raise Said(OUT_OF_REACH, 503)
    fact = Directed(rid=new_rid(), verdict=Rid(entry.rid), decision=Decision(given),
                    by=at.session.name, reason=reason)  # fmt: skip
    await at.record(fact, at.entry(fact.rid, Category.ALTERATION, f"decided a referral: {given}",
                                   scope=f"rid:{entry.rid}", count=1, reason=reason,
                                   conduct=conduct))  # fmt: skip
    does = offered[given].hint if deciding.is_bot_here(at) else (
        "The bot does not run on this machine now. What follows is done once it does; on a copy "
        "of the ledger, never."
    )  # fmt: skip
    at.say(f"Your decision is on record. {does}")
    return see_other("/conduct" if conduct else "/referrals")


async def show_card(request: web.Request) -> web.Response:
    """Say what it means to be shown who a matter is about, and ask why; nobody is shown here."""
    at = here(request)
    entry = await _find(at, request)
    choose(at)  # Whoever has no key open would give a reason for nothing.
    if not is_conduct(entry) or entry.rid in at.visit.revealed:
        return see_other(f"/referrals/{entry.rid}")
    return at.page("reveal.html", entry=entry, errors={})


async def reveal(request: web.Request) -> web.Response:
    """Show who a professional-standards matter is about, for a reason that is recorded."""
    at, form = here(request), await request.post()
    entry = await _find(at, request)
    reason = text_of(form, "reason", 500)
    if not reason:
        wrong = {"reason": "Say why you have to know who it is: it is recorded."}
        return at.page("reveal.html", status=400, entry=entry, errors=wrong)
    await at.look(f"rid:{entry.rid} reason:{reason}", "revealed who a matter is about", count=1,
                  review=choose(at)[1], conduct=True)  # fmt: skip
    at.visit.revealed |= await at.work(lambda stack: _all_of(stack, entry))
    return see_other(f"/referrals/{entry.rid}")


def is_conduct(entry: Entry) -> bool:
    """Say whether the matter is one of professional standards."""
    return entry.facet.has(CONDUCT)


def _all_of(stack: Stack, entry: Entry) -> set[str]:
    """Every record of a matter: the message, and whatever refers to it."""
    found, fresh = {entry.rid}, {entry.rid, *filter(None, [entry.ref])}
    while fresh:
        found |= fresh
        fresh = {one.rid for one in stack.index.about(fresh)} - found
    return found


async def _find(at: Here, request: web.Request) -> Entry:
    rid = request.match_info["rid"]
    entry = await at.work(lambda stack: find_one(stack, rid))
    if entry.facet.kind != Kind.VERDICT:
        raise Said("That record is not a referral.", 404)
    needed = Right.CONDUCT if is_conduct(entry) else Right.REVIEW
    if not at.may(needed):
        raise Said(f"Your role does not let you {needed.value}.", 403)
    return entry


def _sight(at: Here) -> Sight | None:
    if at.visit.sight is not None and at.may(Right.READ):
        return at.visit.sight
    return at.visit.review


def _is_open(stack: Stack, entry: Entry, last: Mapping[str, int]) -> bool:
    """Say whether it was appealed again since it was decided."""
    queues = frozenset({Queue.APPEALS.value})
    return any(one.verdict.rid == entry.rid for one in matters(stack, queues, last))


def _lines(
    at: Here, stack: Stack, sight: Sight | None, sheet: Sheet, hide: Hide
) -> list[Line]:  # fmt: skip
    items: dict[str, Item] = {}
    if sight is not None:
        about = stack.index.get(one.verdict.ref for one in sheet.matters)
        items = {one.rid: one for one in read(stack, sight, list(about.values()), hide)}
    found = []
    for one in sheet.matters:
        before = sheet.followed.get(one.verdict.rid)
        refused = before if before and before.refused and before.direction.at >= one.at else None
        hidden = one.verdict.rid not in at.visit.revealed and is_conduct(one.verdict)
        why = deciding.refusal(stack, sight, refused) if refused and not hidden else ""
        found.append(Line(one, items.get(one.verdict.ref), _due(at, one), refused, why))
    return found


def _around(stack: Stack, sight: Sight, entry: Entry, hide: Hide) -> list[Item]:
    """The message, with what was said around it where the keys open that."""
    about = stack.index.get([entry.ref]).get(entry.ref)
    if about is None:
        return []
    wanted = Filter(kinds=TALK, rooms=(about.room,), end=about.t)
    before = stack.index.newest(wanted, _AROUND)[::-1]
    after = stack.index.oldest_in(replace(wanted, start=about.t, end=END), _AROUND + 1)
    shown = {one.id: one for one in (*before, about, *after)}
    if not is_conduct(entry):  # other matters are nobody's business here
        shown = {number: one for number, one in shown.items() if not is_conduct(one)}
    items = read(stack, sight, [shown[number] for number in sorted(shown)], hide)
    return [one for one in items if one.rid == about.rid or one.form != "closed"]
