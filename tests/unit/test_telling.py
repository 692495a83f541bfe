"""What the bot says of itself in the review room, once."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

from bridge.acting.enforce import Enforcer
from bridge.acting.texts import Speaker
from bridge.errors import TransportError
from bridge.matrix.memory import MemoryTransport
from tests.making import NOON, REVIEW, Hands

WORDS = "The rule a.rule loses strength: <b>it only nudges</b>."


def enforcer(*, rehearse: bool = False) -> tuple[Enforcer, MemoryTransport]:
    transport = MemoryTransport(clock=Hands())
    speaker = Speaker(
        rooms={}, names={}, contact="x", zone=ZoneInfo("Europe/London"), server="force.example"
    )
    return Enforcer(transport=transport, speaker=speaker, rehearse=rehearse), transport


async def test_it_is_said_once_also_when_the_answer_was_lost() -> None:
    own, transport = enforcer()
    transport.fault = lambda _: (True, TransportError("cut off"))
    with capture_logs() as logs:
        assert not await own.tell(REVIEW, WORDS, txn="policy-1", since=NOON)
    assert [line["event"] for line in logs] == ["notice.not_posted"]
    transport.fault = lambda _: (True, None)
    assert await own.tell(REVIEW, WORDS, txn="policy-1", since=NOON)
    (sent,) = transport.sent
    assert sent.post is not None
    assert sent.post.body == WORDS
    assert "&lt;b&gt;" in sent.post.formatted


async def test_a_rehearsal_says_nothing() -> None:
    own, transport = enforcer(rehearse=True)
    assert await own.tell(REVIEW, WORDS, txn="policy-1", since=NOON)
    assert transport.sent == []
