"""The policy that decides now: it follows its files, its approvals, and what people find about it.

Never lets a policy decide before the record says so, and never lets go of one that loads for one
that does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bridge.detect.rules import Mode
from bridge.errors import ConfigError, PolicyError
from bridge.facts import Decision, Noted, PolicyLoaded
from bridge.model import Ms
from bridge.policy import Policy
from bridge.policy.bounds import DAYS
from bridge.policy.load import revision_of
from bridge.policy.meaning import Taking
from bridge.policy.strength import Tally, tally, weakened
from bridge.ports import Clock, Store
from bridge.running.shelf import Shelf, Stamp, read_files, stamp_of

log = structlog.get_logger(__name__)

#: Files are looked at so often; they are read once they have been left alone for as long.
TICK_S = 2.0
#: Rules are weighed anew at least so often, as old findings count no longer.
WEIGH_MS = 3_600_000
_WINDOW_MS = DAYS * 86_400_000
_WRONG = frozenset({Decision.FALSE_POSITIVE, Decision.RESTORED})
LOST = {
    Mode.NUDGE: "it no longer moves messages, and only nudges",
    Mode.SHADOW: "it does nothing any more, and is only counted",
}


@dataclass(slots=True, kw_only=True)
class Live:
    """Which policy decides, and everything that may change that."""

    store: Store
    shelf: Shelf
    folder: Path
    #: How many people the force has now.
    crowd: Callable[[], int]
    clock: Clock
    #: What is in the folder is a draft until two people have approved it.
    two_people: bool
    #: Makes a policy of files, or raises PolicyError.
    load: Callable[[Mapping[str, bytes]], Policy]
    #: Says something in the review room, once under each name; says whether it is there.
    tell: Callable[[str, str, Ms], Awaitable[bool]]
    #: The policy as its files have it.
    loaded: Policy
    #: The language model that takes part; None where none does.
    model: Taking | None = None
    #: False where we only write to the store for a bot that is not running.
    running: bool = True
    _now: Policy | None = None
    #: Held while it is decided what decides.
    swapping: asyncio.Lock = field(default_factory=asyncio.Lock)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: Stamp | None = None
    _taken: Stamp | None = None
    #: The digest of files that were refused, and why.
    refused: tuple[str, str] = ("", "")
    _weighed: Ms = field(default=Ms(0))
    #: Name → what could not be said yet, and since when.
    _unsaid: dict[str, tuple[str, Ms]] = field(default_factory=dict)

    def policy(self) -> Policy:
        """Return what decides now."""
        return self._now or self.loaded

    def hurry(self) -> None:
        """Look at the files at once."""
        self._hurry.set()

    def weigh_soon(self) -> None:
        """Look at once what people found about rules: somebody has just said something."""
        self._weighed = Ms(0)

    # What happens by itself

    async def begin(self) -> None:
        """Put on record what decides from now on."""
        async with self.swapping:
            if not self.two_people:  # what people approved is kept already
                try:
                    await asyncio.to_thread(self._keep)
                except ConfigError as exc:
                    log.error("policy.not_kept", error=str(exc))
            await self._swap(self.loaded)

    def _keep(self) -> None:
        """Keep a copy of what decides, unless the folder has other files by now."""
        files = read_files(self.folder)
        if revision_of(files) == self.loaded.revision:
            self.shelf.keep(files)

    async def run(self) -> None:
        """Follow the files for ever."""
        while True:
            await self.once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), TICK_S)

    async def once(self) -> None:
        """Look whether anything has changed; files that are still being written wait."""
        hurried = self._hurry.is_set()
        self._hurry.clear()
        if not self.two_people:
            stamp = await asyncio.to_thread(stamp_of, self.folder)
            if hurried or (stamp == self._seen and stamp != self._taken):
                self._taken = stamp
                await self.reload()
            self._seen = stamp
        if not 0 <= self.clock() - self._weighed < WEIGH_MS:
            await self.weigh()
        for name, (words, since) in list(self._unsaid.items()):
            if await self.tell(name, words, since):
                self._unsaid.pop(name, None)

    async def reload(self) -> str:
        """Read the files; swap the policy whole, or keep the old one and say why.

        Returns what is wrong, or nothing.
        """
        async with self.swapping:
            try:
                files = await asyncio.to_thread(read_files, self.folder)
            except ConfigError as exc:
                return await self._refuse("unreadable", str(exc))
            digest = revision_of(files)
            if digest == self.loaded.revision:
                self.refused = ("", "")
                return ""
            if digest == self.refused[0]:
                return self.refused[1]
            try:
                policy = await asyncio.to_thread(self.load, files)
                self._fits(policy)
                await asyncio.to_thread(self.shelf.keep, files)
            except ConfigError as exc:
                return await self._refuse(digest, str(exc))
            self.refused = ("", "")
            await self._replace(policy)
            return ""

    async def _refuse(self, digest: str, why: str) -> str:
        if digest != self.refused[0]:
            said = f"changed policy files are refused, and {self.loaded.revision[:12]} stays: {why}"
            log.error("policy.refused", error=why, stays=self.loaded.revision[:12])
            await self.store.append([Noted(text=said)])
            if not self.refused[0]:  # people are told once, until it is put right
                self.say(f"{said}. Please put them right; 'bluelamp check' tries them.")
        self.refused = (digest, why)
        return why

    async def take_over(self, policy: Policy) -> str:
        """Have a policy decide that was made active; say why it cannot yet, or nothing.

        The caller holds `swapping`.
        """
        try:
            self._fits(policy)
        except PolicyError as exc:
            return str(exc)
        await self._replace(policy)
        return ""

    async def _replace(self, policy: Policy) -> None:
        before = self.loaded
        await self._swap(policy)
        self._ask_for_cards(before)

    def _fits(self, policy: Policy) -> None:
        """Refuse a policy that this process cannot take on."""
        now = self.loaded
        if policy.retention.keys() != now.retention.keys() or any(
            policy.classes[cls].retention != one.retention for cls, one in now.classes.items()
        ):
            raise PolicyError(
                "classes.yaml", None,
                "which records are kept under which name has changed: restart the bot to have it",
            )  # fmt: skip

    async def _swap(self, policy: Policy) -> None:
        """Have *policy* decide, at the strength that its rules have; first on record."""
        tallies = await self.tallies()
        modes_now = weakened(policy.accountable, tallies, policy.bounds, self.crowd())
        fresh = policy.weakened(modes_now).with_model(self.model)
        before = self._now
        if self.running:
            modes = tuple((name, rule.mode.value) for name, rule in sorted(fresh.reduced.items()))
            fact = PolicyLoaded(
                revision=fresh.revision,
                files=fresh.files,
                base=fresh.base,
                weakened=modes,
                model=fresh.model.digest if fresh.model else "",
            )
            await self.store.append([fact])
            log.info("policy.loaded", revision=fresh.revision[:12], weakened=len(modes))
        self.loaded, self._now = policy, fresh
        if before is not None:
            self._say_strengths(before, fresh, tallies)

    async def weigh(self) -> None:
        """Look whether rules have lost strength, or have it again."""
        async with self.swapping:
            self._weighed = self.clock()
            tallies = await self.tallies()
            loaded = self.loaded
            modes = weakened(loaded.accountable, tallies, loaded.bounds, self.crowd())
            if {name: rule.mode for name, rule in self.policy().reduced.items()} != modes:
                await self._swap(self.loaded)

    async def tallies(self) -> dict[str, Tally]:
        """Count what people found about each rule lately."""
        rulings = await self.store.rulings(Ms(self.clock() - _WINDOW_MS))
        return tally(
            (one.rule, one.action, one.decision not in _WRONG)
            for one in rulings
            if one.decision is not Decision.REFERRED
        )

    def _say_strengths(self, before: Policy, after: Policy, tallies: Mapping[str, Tally]) -> None:
        for rule in after.accountable:
            was = before.reduced.get(rule.id, rule).mode
            now = after.reduced.get(rule.id, rule).mode
            if was is now or rule.id not in before.reduced.keys() | after.reduced.keys():
                continue
            log.warning("rule.strength", rule=rule.id, was=was.value, now=now.value)
            if now is rule.mode:
                self.say(f"The rule {rule.id} ({rule.title}) has its full strength again: {now}.")
            else:
                count = tallies[rule.id]
                self.say(
                    f"The rule {rule.id} ({rule.title}) loses strength: {LOST[now]}. People found "
                    f"it wrong {count.wrong} times of {count.right + count.wrong} in {DAYS} days. "
                    f"A policy officer should look at it: {rule.source}."
                )

    def _ask_for_cards(self, before: Policy) -> None:
        shown = ("visible_days", "kept_days", "looks_for", "readers")
        if any(
            getattr(one, name) != getattr(before.classes[cls], name)
            for cls, one in self.loaded.classes.items()
            for name in shown
        ):
            self.say(
                "The policy now says otherwise than the notices of rooms: run 'bluelamp rooms "
                "apply', so that members read what holds."
            )

    async def miss_model(self, why: str) -> None:
        """Put on record, in the log and before people that rules go on without the model."""
        said = f"the language model is not used: {why}. Rules go on without it"
        log.error("model.refused", error=why)
        await self.store.append([Noted(text=said)])
        self.say(f"{said[0].upper()}{said[1:]}. 'bluelamp check' tries it again.")

    def say(self, words: str) -> None:
        """Tell people in the review room, as soon as it can be reached."""
        name = hashlib.sha256(f"{words}\0{self.clock()}".encode()).hexdigest()[:24]
        self._unsaid[f"policy-{name}"] = words, self.clock()
