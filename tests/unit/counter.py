"""A world in which commands are taken, for the tests of commands and of the brake."""

from __future__ import annotations

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

from bridge.duties.digest import Digest
from bridge.duties.standing import Watch
from bridge.ledger.keys import Certificates, Custodian
from bridge.matrix.memory import Sent
from bridge.model import EventId, Ms, RoomId, UserId
from bridge.officers.answers import Answers
from bridge.officers.appealdesk import AppealDesk
from bridge.officers.brake import Words
from bridge.officers.frontdesk import FrontDesk
from bridge.officers.hours import Hours
from bridge.register import People, load_people
from bridge.store.memory import MemoryStore
from tests.making import ASHA, REVIEW, SOCIAL, custodian, identity, say
from tests.unit.test_pipeline import POLICY, PSD, ROOMS, World

LONDON = ZoneInfo("Europe/London")
BEN, GWEN, PAT = (UserId(f"@{one}:force.example") for one in ("ben", "gwen", "pat"))
DAN, EWA = (UserId(f"@{one}:force.example") for one in ("dan", "ewa"))
TEAM = "Professional Standards, ext. 4477"
DIRECT = RoomId(f"!direct-{ASHA}")
PEOPLE = f"""matrix_id,name,collar,team,rank,supervisor,console,roles
{ASHA},PC Asha Khan,1,Response A,PC,{GWEN},,
{BEN},PC Ben Hughes,2,Response A,PC,{GWEN},,
{DAN},PC Dan Murray,3,Response B,PC,{GWEN},dan,reviewer
{EWA},PC Ewa Nowak,4,Response B,PC,{GWEN},ewa,administrator
{GWEN},Sgt Gwen Price,5,,Sgt,,,
{PAT},DI Pat Standards,6,,DI,,pat,professional-standards
"""
STANDARDS: Custodian = custodian("standards")


class Counter(World):
    """A world with a front desk, a watch and a digest."""

    can_report = True

    def __init__(self, *, rehearse: bool = False, limit: int = 60) -> None:
        self._count = 0
        super().__init__(rehearse=rehearse, limit=limit)
        self.rooms[SOCIAL] = replace(ROOMS[SOCIAL], team="Response A", supervisor=GWEN)
        self.rooms[REVIEW] = replace(ROOMS[REVIEW], supervisor=GWEN)
        sealed = Certificates([STANDARDS.bundle()], pinned={STANDARDS.name: STANDARDS.public})
        self.store = MemoryStore(replace(identity(PSD), standards=sealed), self.clock)
        self.restart(rehearse=rehearse, limit=limit)

    def restart(self, *, rehearse: bool = False, limit: int = 60) -> None:
        super().restart(rehearse=rehearse, limit=limit)
        words = Words(rooms=self.rooms, names={ASHA: "PC Asha Khan"}, zone=LONDON)
        appeals = AppealDesk(
            store=self.store, people=people, rooms=self.rooms, review=REVIEW,
            hours=Hours(zone=LONDON), clock=self.clock, contact="the Digital Desk",
        )  # fmt: skip
        self.front = FrontDesk(
            store=self.store,
            rooms=self.rooms,
            people=people,
            policy=lambda: POLICY,
            bot=self.transport.user,
            is_direct=self.transport.is_direct,
            clock=self.clock,
            answers=Answers(
                said=words, contact="the Digital Desk", data_protection="the DPO, ext. 1",
                team=TEAM if self.can_report else "",
            ),
            can_report=lambda: self.can_report,
            appeals=appeals,
        )  # fmt: skip
        self.pipeline.desk, self.pipeline.appeals = self.front, appeals
        enforcer = self.settler.enforcer
        self.watch = Watch(
            store=self.store, enforcer=enforcer, rooms=self.rooms, review=REVIEW,
            auditors=(RoomId("!audit"),), words=words, clock=self.clock, wake=self.settler.wake,
        )  # fmt: skip
        self.digest = Digest(
            store=self.store, enforcer=enforcer, rooms=self.rooms, direct=self.transport.direct,
            clock=self.clock, zone=LONDON, hour=7,
        )  # fmt: skip

    async def type(
        self,
        body: str,
        *,
        room: RoomId = SOCIAL,
        by: UserId = ASHA,
        to: EventId | None = None,
        edits: EventId | None = None,
        at: Ms | None = None,
        plain: bool = False,
        doubt: str = "",
    ) -> EventId:
        """Have something typed and settled; *to* is what it answers. *plain*: not encrypted."""
        self._count += 1
        if room == DIRECT:
            await self.transport.direct(by)
        relation = {"m.relates_to": {"m.in_reply_to": {"event_id": to}}} if to else {}
        content = json.dumps({"msgtype": "m.text", "body": body, **relation}).encode()
        when = self.clock() if at is None else at
        message = say(f"$typed{self._count}", body, room=room, sender=by, at=when, replaces=edits)
        sealed = b"" if plain else message.ciphertext
        await self.hear_and_settle(
            replace(message, content=content, ciphertext=sealed, doubt=doubt)
        )
        return message.event_id

    def ledger(self) -> list[tuple[str, dict[str, str | int], dict[str, object]]]:
        """Every record that a custodian opens: all but reports."""
        every = self.store.records
        self.store.records = [one for one in every if b'"kind":"report"' not in one.header]
        try:
            return super().ledger()
        finally:
            self.store.records = every

    def posts(self, room: RoomId, words: str = "") -> list[str]:
        """What we posted in *room*."""
        return [
            s.post.body for s in self.sent if s.room == room and s.post and words in s.post.body
        ]

    def last(self, room: RoomId) -> str:
        return self.posts(room)[-1]

    def sent_to(self, room: RoomId, words: str = "") -> Sent:
        return [s for s in self.sent if s.room == room and s.post and words in s.post.body][-1]

    def removed(self) -> list[EventId]:
        return [s.removed for s in self.sent if s.removed]


def people() -> People:
    return load_people(PEOPLE, "people.csv")
