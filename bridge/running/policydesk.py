"""What policy officers and reviewers order: approve a policy, say that a rule was wrong, ask.

Never changes what decides by itself: an order becomes a fact, and `bridge.running.live` follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bridge.errors import ConfigError
from bridge.facts import Adjudicated, Decision, PolicyApproved
from bridge.model import Action, Rid, UserId
from bridge.policy.activation import PEOPLE, Standing, standing
from bridge.policy.bounds import DAYS
from bridge.policy.load import revision_of
from bridge.policy.strength import Tally
from bridge.register import People, Person
from bridge.running.control import Answer, Order
from bridge.running.live import LOST, Live
from bridge.running.shelf import FEWEST_DIGITS, read_files

_OFFICER = frozenset({"policy-officer"})
_JUDGES = frozenset({"policy-officer", "reviewer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A verdict on record, as far as it shows without a key."""

    rid: Rid
    #: Empty where no rule decided.
    rule: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDesk:
    """What people at the command line may order about policies."""

    live: Live
    #: Who is listed now.
    people: Callable[[], People]
    #: Finds a verdict by its own name or by the name of the message's record.
    find: Callable[[str], Found | None]
    #: Everybody shares one account of this machine, so that whoever they say they are is believed.
    shared_account: bool = False
    #: Has the list of people read now; says what is wrong with it, or nothing.
    reread: Callable[[], Awaitable[str]] | None = None

    async def obey(self, order: Order) -> Answer:
        """Do what concerns policies, and say what became of it."""
        if self.reread is not None and order.do in {"activate", "adjudicate", "reload"}:
            await self.reread()
        match order.do:
            case "reload":
                return await self._reload_now()
            case "activate":
                return await self._activate(order)
            case "adjudicate":
                return await self._adjudicate(order)
            case _:
                return Answer(ok=True, text="\n".join(await self._status()))

    async def _reload_now(self) -> Answer:
        if not self.live.running:
            return Answer(ok=True, text="it reads the policy files when it starts.")
        if self.live.two_people:
            return Answer(ok=False, text="Two policy officers make a policy active here: "
                          "'bluelamp policy activate'.")  # fmt: skip
        if why := await self.live.reload():
            return Answer(ok=False, text=f"{why}. {self.live.loaded.revision[:12]} stays.")
        return Answer(ok=True, text=f"{self.live.policy().revision[:12]} decides.")

    async def _activate(self, order: Order) -> Answer:
        if not self.live.two_people:
            return Answer(
                ok=False,
                text="What is in the policies folder decides here; two people are asked where the "
                "configuration says 'activation: two-people'.",
            )
        person = self.officer(order, _OFFICER)
        if isinstance(person, str):
            return Answer(ok=False, text=person)
        async with self.live.swapping:
            try:
                files = await asyncio.to_thread(self._candidate, order.about)
                policy = await asyncio.to_thread(self.live.load, files)
                revision = await asyncio.to_thread(self.live.shelf.keep, files)
            except ConfigError as exc:
                return Answer(ok=False, text=str(exc))
            before = await self._standing()
            if revision == before.active:
                return Answer(ok=False, text=f"{revision[:12]} is active already.")
            if person.id in before.pending.get(revision, ()):
                return Answer(ok=False, text=f"{person.name} has approved {revision[:12]} already; "
                              "another policy officer has to.")  # fmt: skip
            fact = PolicyApproved(revision=revision, by=person.id, account=order.account)
            await self.live.store.append([fact])
            if (await self._standing()).active != revision:
                return Answer(ok=True, text=f"{person.name} approves {revision[:12]}. It decides "
                              "once another policy officer does.")  # fmt: skip
            done = f"{PEOPLE} people approve {revision[:12]}"
            if why := await self.live.take_over(policy):
                return Answer(ok=True, text=f"{done}. {why}.")
            return Answer(ok=True, text=f"{done}: it decides.")

    def _candidate(self, digest: str) -> dict[str, bytes]:
        """The files that *digest* names: the draft's, or a copy's, so that one can go back."""
        if len(digest) >= FEWEST_DIGITS:
            with contextlib.suppress(ConfigError):
                files = read_files(self.live.folder)
                if revision_of(files).startswith(digest):
                    return files
            if (revision := self.live.shelf.find(digest)) is not None:
                return self.live.shelf.get(revision)
        raise ConfigError(
            str(self.live.folder), None,
            f"no policy here has the digest {digest!r} (give {FEWEST_DIGITS} digits or more); "
            "'bluelamp policy status' shows the draft's",
        )  # fmt: skip

    async def _adjudicate(self, order: Order) -> Answer:
        person = self.officer(order, _JUDGES)
        if isinstance(person, str):
            return Answer(ok=False, text=person)
        try:
            decision = Decision(order.decision.replace("-", "_"))
        except ValueError:
            known = ", ".join(one.value.replace("_", "-") for one in Decision)
            return Answer(ok=False, text=f"{order.decision!r} is not one of: {known}.")
        found = await asyncio.to_thread(self.find, order.about)
        if found is None or not found.rule:
            return Answer(ok=False, text=f"There is no verdict of a rule under {order.about!r}.")
        fact = Adjudicated(
            record=found.rid,
            rule=found.rule,
            action=found.action,
            decision=decision,
            by=person.id,
            account=order.account,
        )
        await self.live.store.append([fact])
        await self.live.weigh()
        count = (await self.live.tallies()).get(found.rule, Tally())
        rule = self.live.policy().reduced.get(found.rule)
        lost = f"; {LOST[rule.mode]}" if rule else ""
        return Answer(
            ok=True,
            text=f"On record. In {DAYS} days people found {found.rule} wrong {count.wrong} times "
            f"of {count.right + count.wrong}{lost}.",
        )

    def officer(self, order: Order, roles: frozenset[str]) -> Person | str:
        """Say who orders this, or why nobody does who may.

        It is the person whose sign-in is the account that says it; where everybody shares one
        account, whoever they say they are.
        """
        return officer(
            self.people(), order.by, order.account, roles, shared_account=self.shared_account
        )

    async def _standing(self) -> Standing:
        return standing((one.revision, one.by) for one in await self.live.store.approvals())

    async def _status(self) -> list[str]:
        now = self.live.policy()
        stand = await self._standing()
        said = f"active   {now.revision}, {len(now.rules)} rules"
        if self.live.two_people and stand.active is not None:
            said += f"; approved by {self._names(stand.approvers)}"
        lines = [said]
        if now.base:
            lines.append(f"files    {now.base}")
        if now.model is not None and now.speaking is not None:
            lines.append(f"model    {now.model.digest}, {now.speaking.rule.mode}")
        lines.append(await asyncio.to_thread(self._draft, stand))
        tallies = await self.live.tallies()
        for name, rule in sorted(now.reduced.items()):
            count = tallies.get(name, Tally())
            lines.append(
                f"weakened {name}: {rule.mode}; wrong {count.wrong} times of "
                f"{count.right + count.wrong} in {DAYS} days"
            )
        return lines

    def _draft(self, stand: Standing) -> str:
        what = "draft   " if self.live.two_people else "folder  "
        try:
            files = read_files(self.live.folder)
            digest = revision_of(files)
            if digest == self.live.loaded.revision:
                return f"{what} the same"
            if not self.live.two_people:
                why = (
                    self.live.refused[1]
                    if self.live.refused[0] == digest
                    else "it is about to be read"
                )
                return f"{what} {digest}: {why}"
            self.live.load(files)
        except ConfigError as exc:
            return f"{what} does not load: {exc}"
        have = stand.pending.get(digest, ())
        who = f"approved by {self._names(have)}; " if have else ""
        return f"{what} {digest}: {who}{PEOPLE - len(have)} more policy officers have to approve it"

    def _names(self, people: Iterable[str]) -> str:
        named = {str(person.id): person.name for person in self.people().persons.values()}
        return " and ".join(named.get(one, one) for one in people)


def officer(  # noqa: PLR0913 - who says what they may, by which account
    people: People,
    name: str,
    account: str,
    roles: frozenset[str],
    *,
    also: frozenset[UserId] = frozenset(),
    shared_account: bool = False,
) -> Person | str:
    """Say who orders something that takes one of *roles*, or being one of *also*; or why nobody.

    It is the person whose sign-in is the *account* that says it; where everybody shares one
    account, whoever they say they are (*name*).
    """
    said = " or ".join(sorted(roles))
    said = f"{'an' if said[0] in 'aio' else 'a'} {said}"

    def may(person: Person) -> bool:
        return bool(person.roles & roles) or person.id in also

    named = [
        person
        for person in people.persons.values()
        if name and name in {person.id, person.name, person.collar, person.console}
    ]
    if shared_account:
        able = [person for person in named if may(person)]
        return able[0] if able else f"{name!r} is not listed as {said} in {people.source}."
    own = [one for one in people.persons.values() if account and one.console == account]
    if not own or not may(own[0]):
        return (
            f"The account {account!r} of this machine is not the sign-in (console) of {said} "
            f"in {people.source}. Where everybody shares one account, the configuration has "
            "to say 'accounts: shared'."
        )
    if name and own[0] not in named:
        return f"The account {account!r} is {own[0].name}'s, and not that of {name!r}."
    return own[0]
