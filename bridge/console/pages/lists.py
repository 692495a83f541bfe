"""What stands in the clear, as lists: rooms, retention and holds, policies, accounts.

Never writes to the bot's ledger: a hold is an order to the running bot, by its local socket.
"""

from __future__ import annotations

import asyncio
import datetime
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from bridge.console.desk import Here, Said, here, note, see_other, text_of
from bridge.console.drafts import waiting
from bridge.console.pages import covering
from bridge.console.pages.overseeing import withheld
from bridge.console.rights import Right
from bridge.errors import BridgeError, PolicyError
from bridge.facts import CaseOpened, Held, Released
from bridge.ledger.record import new_rid
from bridge.model import Ms, Rid
from bridge.records import cases, retention
from bridge.records.archive import Stack
from bridge.records.conversation import read_inside
from bridge.records.custody import scope_of
from bridge.records.membership import JOINED, change_of
from bridge.register import Entry as RoomEntry
from bridge.running.control import Order, Recordable, ask
from bridge.store.entries import END, Filter
from bridge.store.journal import Category
from bridge.store.reader import Case, SqliteReader
from bridge.verify.headers import Kind

_RIGHT = frozenset({"restored", "false_positive"})
#: Decisions of so many days count for a rule's precision.
_DAYS = 90
_HOLD = ("room", "person", "from", "to", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody of a room, and since when, as far as the record shows."""

    user: str
    #: (joined or left …, by whom if by somebody else, when), oldest first.
    changes: tuple[tuple[str, str, Ms], ...] = ()

    @property
    def was_there(self) -> bool:
        """Say whether they ever joined, as far as the record shows."""
        return any(said == JOINED for said, _, _ in self.changes)


async def rooms(request: web.Request) -> web.Response:
    """List the register."""
    at = here(request)
    register, people, lock = at.desk.register()
    today = _today(at)
    return at.page(
        "rooms.html", register=register, today=today,
        counts={key: len(register.members(one, people)) for key, one in register.rooms.items()},
        made={key: register.id_of(key, lock) is not None for key in register.rooms},
        covered=await _covered(at),
    )  # fmt: skip


async def _covered(at: Here) -> dict[str, covering.Coverage] | None:
    """What is missing of each room; None where that stays closed."""
    sight = at.visit.sight
    if sight is None or not at.may(Right.READ):
        return None
    register, _, lock = at.desk.register()
    ids = {key: str(register.id_of(key, lock) or "") for key in register.rooms}
    made = {key: room for key, room in ids.items() if room}
    await at.look("rooms", "counted what is missing of each room")
    return await at.work(lambda stack: covering.missing(stack, sight, made))


async def room(request: web.Request) -> web.Response:
    """Show one room of the register, and who came and went as far as that is open."""
    at = here(request)
    register, people, lock = at.desk.register()
    key = request.match_info["room"]
    entry = register.rooms.get(key)
    if entry is None:
        raise Said("There is no such room on the register.", 404)
    listed = register.members(entry, people)
    room_id = str(register.id_of(key, lock) or "")
    members = await _members(at, entry, room_id)
    covered = await _covered_one(at, entry, room_id)
    seen = {one.user for one in members if one.was_there}
    return at.page(
        "room.html", key=key, room=entry, listed=listed, members=members,
        missing=[user for user in listed if user not in seen] if members else [],
        secure=register.rooms.get(entry.secure or ""), today=_today(at), covered=covered,
    )  # fmt: skip


async def _covered_one(at: Here, entry: RoomEntry, room_id: str) -> covering.Coverage | None:
    sight = at.visit.sight
    if sight is None or not room_id or not at.may(Right.READ):
        return None
    await at.look(shlex.join([f"room:{entry.name}"]), "counted what was read of a room")
    return await at.work(lambda stack: covering.coverage(stack, sight, room_id))


async def _members(at: Here, entry: RoomEntry, room_id: str) -> list[Member]:
    sight = at.visit.sight
    if sight is None or not room_id or not at.may(Right.READ):
        return []
    await at.look(shlex.join([f"room:{entry.name}", "kind:membership"]), "read who came and went")

    def find(stack: Stack) -> list[Member]:
        wanted = Filter(kinds=frozenset({Kind.MEMBERSHIP.value}), rooms=sight.tags("room", room_id))
        changes: dict[str, list[tuple[str, str, Ms]]] = defaultdict(list)
        for one in sight.open(stack, stack.index.newest(wanted, 2000)[::-1]):
            if one.inside is None:
                continue
            inside = read_inside(one.inside)
            content = inside.content if isinstance(inside.content, dict) else {}
            change = change_of(inside.sender, inside.state_key, content)
            came = Ms(inside.sent_at or one.entry.t)
            changes[change.user].append((change.said, change.by, came))
        return [Member(user=user, changes=tuple(each)) for user, each in changes.items()]

    return await at.work(find)


# Retention and holds


async def show_retention(request: web.Request) -> web.Response:
    """Show what is kept until when, what is due, and what is held."""
    at = here(request)
    return at.page(
        "retention.html", **await _kept(at), scopes=await _scopes(at), errors={}, form={}
    )


async def _scopes(at: Here) -> dict[str, str] | None:
    """What each hold covers, with the names of the register; None where that stays sealed."""
    sight = at.visit.sight
    if sight is None or not (at.may(Right.READ) or at.may(Right.HOLD)):
        return None
    await at.look("kind:hold", "read what the holds cover")
    opened = await at.work(lambda stack: cases.scopes(sight, stack, stack.of_kind(Kind.HOLD)))
    register, people, lock = at.desk.register()
    names = {f"room:{register.id_of(key, lock)}": f"room:{one.name}"
             for key, one in register.rooms.items()}  # fmt: skip
    names |= {f"person:{one.id}": f"person:{one.name}" for one in people.persons.values()}
    return {
        hold: " ".join(names.get(part, part) for part in _parts(scope)) or "everything"
        for hold, scope in opened.items()
    }


def _parts(scope: str) -> list[str]:
    try:
        return shlex.split(scope)
    except ValueError:
        return [scope]


async def add_hold(request: web.Request) -> web.Response:
    """Have the bot record a hold."""
    at, given = here(request), await request.post()
    form = {name: text_of(given, name, 200) for name in (*_HOLD, "case", "reason")}
    text = shlex.join(f"{name}:{form[name]}" for name in _HOLD if form[name])
    kept = await _kept(at)
    errors: dict[str, str] = {}
    settled = ""
    try:
        settled = (await asyncio.to_thread(scope_of, at.desk.config, text)).settled()
    except BridgeError as exc:
        errors["room"] = str(exc)
    if not form["reason"]:
        errors["reason"] = "Say why; it is recorded with the hold"
    facts: list[Recordable] = []
    if form["case"] and form["case"] not in {one.reference for one in kept["cases"]}:
        facts.append(
            CaseOpened(reference=form["case"], title=form["reason"][:80], by=at.person.name)
        )
    if errors:
        return at.page("retention.html", status=400, errors=errors, form=form,
                       scopes=await _scopes(at), **kept)  # fmt: skip
    hold = new_rid()
    facts.append(Held(rid=hold, scope=settled, case=form["case"], reason=form["reason"],
                      by=at.person.name))  # fmt: skip
    wish = Wish(f"put records on hold ({hold[:8]})", f"held records ({hold[:8]})", text,
                _command("add", *(("--scope", text) if text else ()), "--reason", form["reason"],
                         *(("--case", form["case"]) if form["case"] else ())))  # fmt: skip
    await _order(at, wish, facts)
    at.say(f"Hold {hold[:8]} is on record. What it covers stays readable until it is released.")
    return see_other("/retention")


async def release_hold(request: web.Request) -> web.Response:
    """Have the bot record that a hold is over."""
    at, form = here(request), await request.post()
    hold, reason = request.match_info["hold"], text_of(form, "reason", 300)
    active = {one.rid for one in (await _kept(at))["holds"] if one.released is None}
    if hold not in active:
        raise Said("There is no such active hold.", 404)
    if not reason:
        raise Said("Say why it is over: the reason is recorded.")
    late = await asyncio.to_thread(retention.too_late, at.desk.config, hold)
    if late and form.get("sure") != "yes":
        names = ", ".join(one.rid[:8] for one in late)
        raise Said(
            f"This hold alone keeps records whose keys were destroyed before these holds were "
            f"made: {names}. If they cover any of these, that is lost with the release. Make sure "
            "that they do not, then release it again and say so."
        )
    fact = Released(hold=Rid(hold), reason=reason, by=at.person.name)
    wish = Wish(f"release hold {hold[:8]}", f"released hold {hold[:8]}", f"hold:{hold}",
                _command("release", hold, "--reason", reason))  # fmt: skip
    await _order(at, wish, [fact])
    at.say(f"Hold {hold[:8]} is released.")
    return see_other("/retention")


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that the bot is asked to record."""

    #: What it is asked to do, and what it then has done.
    asked: str
    done: str
    scope: str
    #: How to have it done where the bot runs.
    command: str


def _command(*words: str) -> str:
    return f"bluelamp hold {shlex.join(words)}"


async def _order(at: Here, wish: Wish, facts: Sequence[Recordable]) -> None:
    """Ask the running bot to record *facts*: on our record first, and what came of it after.

    Raises:
        Said: it is not running here, or refuses.
    """

    async def on_record(what: str) -> None:
        await at.record(note(f"{at.session.name} {what}"),
                        at.entry("", Category.ALTERATION, what, scope=wish.scope))  # fmt: skip

    await on_record(f"asked the bot to {wish.asked}")
    answer = await ask(at.desk.config.socket, Order.record(*facts))
    if answer is None:
        await on_record(f"could not {wish.asked}: the bot does not run here")
        raise Said(
            "Nothing was held or released: the bot does not run on this machine, and only it "
            f"writes its ledger. On its host: {wish.command}",
            503,
        )
    if not answer.ok:
        await on_record(f"could not {wish.asked}: the bot refused")
        raise Said(answer.text, 409)
    await on_record(wish.done)


async def _kept(at: Here) -> dict[str, Any]:
    config, now = at.desk.config, at.desk.clock()

    def read() -> tuple[retention.State, list[Case]]:
        reader = SqliteReader(config.ledger)
        try:
            return retention.state(config), reader.cases()
        finally:
            reader.close()

    state, cases = await asyncio.to_thread(read)
    register, people, _ = at.desk.register()
    stays = await withheld(at)
    return {
        "buckets": state.buckets,
        "holds": sorted(state.holds, key=lambda one: (one.released is not None, -one.at)),
        "cases": cases,
        "due": [one for one in state.buckets if one.is_due(now) and one.name not in stays],
        "rooms": [(key, entry.name) for key, entry in register.rooms.items()],
        "persons": sorted(person.name for person in people.persons.values()),
    }


# Policies


async def policies(request: web.Request) -> web.Response:
    """Show which policy decides, what came before it, and how often each rule was wrong."""
    at = here(request)
    now = at.desk.clock()

    def read(stack: Stack) -> tuple[list[tuple[Ms, str, str]], Mapping[str, tuple[int, int]]]:
        return policy_history(stack), _precision(stack, now)

    history, precision = await at.work(read)
    draft: Any = None
    wrong = ""
    try:
        draft = await at.desk.policy()
    except PolicyError as exc:
        wrong = str(exc)
    waits = await at.work(lambda stack: waiting(at.desk.config, stack, history[0][1]
                                                if history else ""))  # fmt: skip
    return at.page(
        "policies.html", history=history, precision=precision, draft=draft, wrong=wrong,
        active=history[0][1] if history else "", days=_DAYS, waiting=waits,
        two_people=at.desk.config.two_people,
    )  # fmt: skip


def policy_history(stack: Stack) -> list[tuple[Ms, str, str]]:
    """(when, revision, the record's name) of every policy that decided, newest first."""
    found = []
    for entry, row in stack.fetch(stack.of_kind(Kind.POLICY)[::-1]):
        header = msgspec.json.decode(row.header, type=dict[str, str | int])
        found.append((Ms(entry.t), str(header["revision"]), entry.rid))
    return found


def _precision(stack: Stack, now: Ms) -> dict[str, tuple[int, int]]:
    """Rule → (found right, found wrong)."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    start = now - _DAYS * 86_400_000
    for _, facet, count in stack.index.tallies(start, min(now + 86_400_000, END)):
        if facet.kind == Kind.DECISION and facet.what != "referred":
            counts[facet.rule][facet.what in _RIGHT] += count
    return {rule: (right, wrong) for rule, (right, wrong) in sorted(counts.items())}


# Accounts


async def accounts(request: web.Request) -> web.Response:
    """Show who can sign in, and who is."""
    at = here(request)
    people = {one.console: one for one in at.desk.register()[1].persons.values() if one.console}
    return at.page(
        "accounts.html", accounts=at.desk.accounts.list(), people=people,
        sessions=[one for one in at.desk.sessions.all() if one.name],
    )  # fmt: skip


async def sign_out(request: web.Request) -> web.Response:
    """End every session of somebody."""
    at = here(request)
    name = request.match_info["name"]
    ended = at.desk.sessions.end_all(name)
    await at.record(note(f"{at.session.name} signed out {name}"),
                    at.entry("", Category.ACCESS, f"signed out {name}"))  # fmt: skip
    at.say(f"{ended} sessions of {name} are ended.")
    return see_other("/accounts")


def _today(at: Here) -> datetime.date:
    return datetime.datetime.fromtimestamp(at.desk.clock() / 1000, at.desk.config.zone).date()
