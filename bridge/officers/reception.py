"""Puts together whoever takes commands and looks after the brake, from what the force wrote down.

Never takes a command itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.acting.enforce import Enforcer
from bridge.config import Config
from bridge.duties.digest import Digest
from bridge.duties.standing import Watch
from bridge.errors import NoCertificate
from bridge.ledger.keys import Certificates
from bridge.model import Ms, Room, RoomClass, RoomId, UserId
from bridge.officers.answers import Answers
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.brake import Agreement, Words
from bridge.officers.frontdesk import STANDARDS, FrontDesk
from bridge.policy import Policy
from bridge.ports import Clock, Store, Transport
from bridge.register import People


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What everybody here works with."""

    config: Config
    store: Store
    transport: Transport
    enforcer: Enforcer
    rooms: Mapping[RoomId, Room]
    people: Callable[[], People]
    policy: Callable[[], Policy]
    #: What people are called; shared with whoever speaks.
    names: Mapping[UserId, str]
    #: Where people are asked about a room that names no review room.
    review: RoomId | None
    #: Rooms of class audit, where checkpoints are posted.
    auditors: Sequence[RoomId]
    clock: Clock
    wake: Callable[[], None]
    #: To whom alone reports are sealed, if to anybody.
    standards: Certificates | None = None
    #: Two people for what cannot be undone, here and at the command line.
    agreement: Agreement = field(default_factory=Agreement)

    @property
    def _words(self) -> Words:
        return Words(rooms=self.rooms, names=self.names, zone=self.config.zone)

    def desk(self, appeals: AppealDesk | None) -> FrontDesk:
        """Who takes commands."""
        config = self.config
        answers = Answers(
            said=self._words,
            contact=config.contact,
            data_protection=config.data_protection,
            team=config.standards.team if config.standards is not None else "",
            reviewers=config.reviewers is not None,
        )
        return FrontDesk(
            store=self.store,
            rooms=self.rooms,
            people=self.people,
            policy=self.policy,
            bot=self.transport.user,
            is_direct=self.transport.is_direct,
            clock=self.clock,
            answers=answers,
            can_report=self._can_report,
            incident_ms=Ms(config.incident_hours * 3_600_000),
            agreement=self.agreement,
            appeals=appeals,
        )

    def _can_report(self) -> bool:
        """Somebody would hear of a report, and there is a key to seal it to."""
        if self.standards is None:
            return False
        if not any(STANDARDS in one.roles for one in self.people().persons.values()):
            return False
        retention = self.policy().classes[RoomClass.REVIEW].retention
        try:
            self.standards.recipients(retention, self.clock())
        except NoCertificate:
            return False
        return True

    def watch(self) -> Watch:
        """Who ends and reminds."""
        return Watch(
            store=self.store,
            enforcer=self.enforcer,
            rooms=self.rooms,
            review=self.review,
            auditors=self.auditors,
            words=self._words,
            clock=self.clock,
            wake=self.wake,
        )

    def digest(self) -> Digest:
        """Who tells supervisors once a day."""
        return Digest(
            store=self.store,
            enforcer=self.enforcer,
            rooms=self.rooms,
            direct=self.transport.direct,
            clock=self.clock,
            zone=self.config.zone,
            hour=self.config.digest_hour,
        )


def practising(rooms: Mapping[RoomId, Room], config: Config) -> dict[RoomId, Room]:
    """Have rooms of the classes that config.yaml names rehearse, too, or all of them.

    Where nothing is done, the gate must not stop anything, either.
    """
    return {
        name: replace(
            room, rehearse=room.rehearse or config.rehearse or room.cls in config.rehearsed
        )
        for name, room in rooms.items()
    }
