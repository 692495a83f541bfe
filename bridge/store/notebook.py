"""The bot's notebook: what follows from the facts, and what the bot asks about them.

Never proves anything: no checkpoint covers it. It is written in the same transactions as the
records, so that both are there or neither is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bridge.facts import (
    LET_THROUGH,
    Adjudicated,
    Appealed,
    Appraised,
    Braked,
    CaseOpened,
    Cleared,
    Decided,
    Disposed,
    Drifted,
    Erased,
    Held,
    Labelled,
    Minuted,
    Performed,
    PolicyApproved,
    Released,
    Seen,
    Told,
)
from bridge.ledger.facts import Owed, decode_effect, encode_effect
from bridge.model import (
    FINAL,
    Action,
    Debt,
    Effect,
    EventId,
    Kind,
    Message,
    Ms,
    Rid,
    RoomId,
    Status,
    UserId,
    key,
)
from bridge.ports import Approval, Attached, Docket, Known, Posted, Ruling, Standing
from bridge.store import attached, disposal, dockets, oversight, ruling, standing, tellings
from bridge.store.book import Page
from bridge.store.disposal import Logs
from bridge.store.sql import statements

SQL = statements("ledger.sql")


class Notebook:
    """The tables beside the records. Used by the one thread that writes to them."""

    def __init__(self, logs: Logs) -> None:
        """Keep the notebook of the ledger's open log."""
        self._logs, self._db = logs, logs.db

    def known(self, events: Sequence[EventId]) -> dict[EventId, Known]:
        """Those of *events* that are on record."""
        # The database's own JSON ends at a null character.
        odd = [event for event in events if "\0" in event]
        asked = msgspec.json.encode([event for event in events if "\0" not in event]).decode()
        found = {EventId(row[0]): _known(row) for row in self._all("events", asked)}
        return found | {event: one for event in odd if (one := self._known(event))}

    def sources(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], EventId]:
        """Which event first carried each of *messages*' place in its session."""
        places = {(m.session, m.index) for m in messages if m.index >= 0}
        rows = self._all("sources", msgspec.json.encode(list(places)).decode())
        # Oldest first, so the last to be put in is the newest: turned round, the first stays.
        return {(session, index): EventId(event) for session, index, event in reversed(rows)}

    def edits(self, event: EventId) -> tuple[EventId, ...]:
        """The recorded edits of *event*, oldest first."""
        return tuple(EventId(row[0]) for row in self._all("edits", event))

    def posted(self, events: Sequence[EventId]) -> dict[EventId, Posted]:
        """Those of *events* that the bot sent because it owed them."""
        asked = msgspec.json.encode([event for event in events if "\0" not in event]).decode()
        return {one.event: one for one in map(_posted, self._all("posts", asked))}

    def posted_about(self, event: EventId) -> tuple[Posted, ...]:
        """What the bot sent about *event*, oldest first."""
        return tuple(map(_posted, self._all("posts_about", event)))

    def attached(self, events: Sequence[EventId], url: str | None) -> tuple[Attached, ...]:
        """The files of *events*, and whoever brings the one at *url*."""
        return attached.find(self._db, events, url)

    def appeals(self, of: Sequence[str]) -> tuple[Docket, ...]:
        """The appeals of these names, or about these events."""
        asked = [name for name in of if "\0" not in name]
        return dockets.dockets(self._all("appeals", msgspec.json.encode(asked).decode()))

    def open_appeals(self) -> tuple[Docket, ...]:
        """The appeals that nobody has decided, oldest first."""
        return dockets.dockets(self._all("open_appeals"))

    def passes(self, since: Ms) -> dict[tuple[UserId, RoomId], Action]:
        """Whose next message in which room is let through, up to which action."""
        rows = self._all("passes", since)
        return {(UserId(user), RoomId(room)): Action(action) for user, room, action in rows}

    def owed(self) -> tuple[Debt, ...]:
        """What is owed and not settled, oldest first."""
        return tuple(_debt(row) for row in self._all("debts"))

    def waiting(self, since: Ms) -> tuple[Message, ...]:
        """What was sent at or after *since* and could not be read, oldest first."""
        return tuple(_waiting(row) for row in self._all("waiting", since))

    def brakes(self) -> frozenset[RoomId | None]:
        """Where acting is stopped; None stands for everywhere."""
        return frozenset(RoomId(row[0]) if row[0] else None for row in self._all("brakes"))

    def standing(self) -> tuple[Standing, ...]:
        """The pauses and incidents that are on, oldest first."""
        return standing.standing(self._db)

    def minutes(self, room: RoomId) -> int:
        """How many decisions of *room* are on record."""
        return standing.minutes(self._db, room)

    def newest_told(self, sender: UserId, room: RoomId | None) -> EventId | None:
        """The newest message of *sender* about which they were told."""
        return standing.newest_told(self._db, sender, room)

    def moved_near(self, event: EventId) -> dict[EventId, Known]:
        """What the sender of *event* had moved from its room about then, oldest first."""
        rows = self._all("moved_near", event, standing.NEAR_MS)
        return {EventId(row[0]): _known(row) for row in rows}

    def counts(self, since: Ms, until: Ms) -> dict[tuple[RoomId, str], int]:
        """How much was sent in [since, until)."""
        return standing.counts(self._db, since, until)

    def approvals(self) -> tuple[Approval, ...]:
        """Every approval of a policy, oldest first."""
        return ruling.approvals(self._all("approvals"))

    def rulings(self, since: Ms) -> tuple[Ruling, ...]:
        """What was found about verdicts at or after *since*, oldest first."""
        return ruling.rulings(self._all("rulings", since))

    def _run(self, name: str, *values: Any) -> None:
        self._db.execute(SQL[name], values)

    def _one(self, name: str, *values: Any) -> Any:
        return self._db.execute(SQL[name], values).fetchone()

    def _all(self, name: str, *values: Any) -> list[Any]:
        return self._db.execute(SQL[name], values).fetchall()

    def follow(self, page: Page, now: Ms) -> None:
        """Draw the consequences of the page's facts."""
        for fact in page.facts:
            match fact:
                case Seen(message=message, clean=clean):
                    self._seen(page, message, clean.action if clean else None)
                    self._owed(page, fact, now)
                case Decided():
                    self._decided(page, fact)
                    self._owed(page, fact, now)
                case Performed():
                    self._performed(page, fact, now)
                case Braked() | Minuted():
                    standing.follow(self._db, fact, now)
                case PolicyApproved():
                    ruling.follow(self._db, fact, now)
                case Adjudicated() | Appealed():
                    self._appealed(page, fact, now)
                case CaseOpened() | Held() | Released() | Disposed() | Erased():
                    disposal.follow(self._logs, fact, now, page.first + len(page.records))
                case Drifted() | Cleared() | Appraised() | Labelled():
                    oversight.follow(self._db, fact, now)
                case Told():
                    tellings.follow(self._db, fact, now)
                case _:
                    pass

    def _decided(self, page: Page, fact: Decided) -> None:
        message, verdict = fact.message, fact.verdict
        action = Action.ALLOW if fact.held else verdict.action
        found = page.verdicts.get(message.event_id)
        for event in (message.event_id, message.replaces):
            if event:
                self._run("judge_event", action.value, verdict.rule, found, event)
        if verdict.rule == LET_THROUGH:
            self._run("use_pass", message.sender, message.room)

    def _performed(self, page: Page, fact: Performed, now: Ms) -> None:
        outcome = fact.outcome
        if self._one("debt", outcome.key) is not None:
            dockets.promise(self._db, fact, now)
        for effect in fact.owes:
            if (then := page.debts.get(key(effect))) is not None:
                raw = encode_effect(effect)
                self._run("follow_debt", key(effect), then.rid, now, raw, outcome.key)
        self._posted(fact, now)
        settled = outcome.status in FINAL
        self._run("settle_debt" if settled else "attempt_debt", outcome.key)

    def _appealed(self, page: Page, fact: Adjudicated | Appealed, now: Ms) -> None:
        dockets.follow(self._db, fact, now)
        if isinstance(fact, Adjudicated):
            ruling.follow(self._db, fact, now)
            dockets.promise(self._db, fact, now)
        if (appeal := fact.appeal) is not None:
            self._owe(page, appeal.message, fact.owes, now, appeal.record)

    def _posted(self, fact: Performed, now: Ms) -> None:
        """Remember what was sent, so that answers find what it was about, and what was kept."""
        outcome = fact.outcome
        row = self._one("debt", outcome.key)
        if row is not None and outcome.status is Status.DONE and outcome.detail.startswith("$"):
            about = decode_effect(row[2]).about
            self._run("add_post", outcome.detail, about, row[2], now)
        if row is not None and standing.stays(effect := decode_effect(row[2]), outcome.status):
            self._run("leave_event", effect.about)
        if row is not None and fact.file is not None:
            attached.keep(self._db, row[2])

    def _seen(self, page: Page, message: Message, action: Action | None) -> None:
        unreadable = message.kind is Kind.UNREADABLE
        self._run(
            "add_event",
            message.event_id,
            page.events[message.event_id],
            message.sender,
            action.value if action is not None else None,
            None,
            message.replaces,
            int(unreadable),
            message.sent_at,
            message.room,
            message.session,
            message.index,
        )
        attached.add(self._db, message)
        if unreadable:
            self._run(
                "add_waiting",
                message.event_id,
                message.room,
                message.sender,
                message.sent_at,
                message.doubt,
                message.ciphertext,
            )
        elif message.late:
            self._run("drop_waiting", message.event_id)

    def _owed(self, page: Page, fact: Seen | Decided, now: Ms) -> None:
        event = fact.message.event_id
        about = page.events.get(event) or self.rid_of(event)
        self._owe(page, fact.message, fact.owes, now, about)

    def _owe(
        self, page: Page, message: Message, owes: Sequence[Effect], now: Ms, about: Rid | None
    ) -> None:
        for effect in owes:
            owed = page.debts[key(effect)]
            self._run(
                "add_debt",
                key(effect),
                owed.rid,
                owed.retention,
                about,
                message.sender,
                message.sent_at,
                now,
                encode_effect(effect),
                message.ciphertext,
            )

    # What drafts ask about what was recorded before

    def rid_of(self, event: EventId) -> Rid | None:
        """The record of an event, if there is one."""
        known = self._known(event)
        return known.rid if known else None

    def debt(self, key: str) -> Owed | None:
        """The record of a debt that is not settled, if there is one."""
        row = self._one("debt", key)
        if row is None:
            return None
        name = type(decode_effect(row[2])).__name__.lower()
        return Owed(rid=Rid(row[0]), retention=row[1], effect=name, message=Rid(row[3]))

    def _known(self, event: EventId) -> Known | None:
        row = self._one("event", event)
        return _known(row) if row else None


def _known(row: Any) -> Known:
    _, rid, sender, action, rule, replaces, unreadable, room, at, verdict = row
    return Known(
        rid=Rid(rid),
        sender=UserId(sender),
        action=Action(action) if action is not None else None,
        rule=rule,
        replaces=EventId(replaces) if replaces else None,
        unreadable=bool(unreadable),
        room=RoomId(room),
        sent_at=Ms(at),
        verdict=Rid(verdict) if verdict else None,
    )


def _posted(row: Any) -> Posted:
    event, effect, at = row
    return Posted(event=EventId(event), effect=decode_effect(effect), at=Ms(at))


def _debt(row: Any) -> Debt:
    rid, message, sender, sent_at, since, effect, ciphertext, attempts = row
    return Debt(
        effect=decode_effect(effect),
        rid=Rid(rid),
        message=Rid(message),
        sender=UserId(sender),
        sent_at=Ms(sent_at),
        since=Ms(since),
        ciphertext=ciphertext,
        attempts=attempts,
    )


def _waiting(row: Any) -> Message:
    event, room, sender, sent_at, doubt, source = row
    return Message(
        event_id=EventId(event),
        room=RoomId(room),
        sender=UserId(sender),
        sent_at=Ms(sent_at),
        kind=Kind.UNREADABLE,
        type="m.room.encrypted",
        doubt=doubt,
        content=source,
        ciphertext=source,
    )
