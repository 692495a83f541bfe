"""Replies that repeat a message which was moved before they came: they go the same way.

Never looks at what was moved: that a reply quotes it is enough, as its client quotes what it
answers. Never believes that a quotation is one: see `unquoted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bridge.acting.closure import REPEATS, THREADED, WHY, quotation, relations
from bridge.detect.markup import own_words_from
from bridge.facts import LET_THROUGH
from bridge.model import Action, EventId, Message, Verdict
from bridge.ports import Known

_QUOTED = re.compile("mx-reply", re.IGNORECASE)


def answered(message: Message) -> tuple[EventId, ...]:
    """What *message* is a reply to, if it repeats that."""
    if not quotation(message):
        return ()
    return tuple(target for how, target in relations(message) if how == "m.in_reply_to")


def unquoted(message: Message) -> Message | None:
    """Give *message* as if nothing in it were a quotation, place for place; None if nothing is.

    Anybody can write anything into a quotation, and say that they answer whatever they like.
    """
    body, formatted = message.body, message.formatted
    if own_words_from(body):
        body = "\u203a" + body[1:]
    if "mx-reply" in formatted.lower():
        formatted = _QUOTED.sub("mx-quote", formatted)
    if (body, formatted) == (message.body, message.formatted):
        return None
    return replace(message, body=body, formatted=formatted)


def explains(message: Message, known: Mapping[EventId, Known], strict: Action) -> bool:
    """Say whether what *message* answers was itself found to be as *strict*, or let through."""
    for how, target in relations(message):
        before = known.get(target)
        if how != "m.in_reply_to" or before is None or before.room != message.room:
            continue
        if before.rule == LET_THROUGH or (before.action or Action.ALLOW) >= strict:
            return True
    return False


def follow_moved(verdict: Verdict, message: Message, known: Mapping[EventId, Known]) -> Verdict:
    """Make the verdict on a reply as strict as what was decided about what it repeats.

    A reply that went along itself is no such message: its own words were nobody's concern.
    """
    for event in answered(message):
        before = known.get(event)
        if before is None or before.room != message.room or before.rule in {REPEATS, THREADED}:
            continue
        if (before.action or Action.ALLOW) >= Action.REDIRECT > verdict.action:
            return replace(
                verdict, action=before.action or Action.REDIRECT, rule=REPEATS, reason=WHY[REPEATS]
            )
    return verdict
