"""How a verdict changes for what the policy cannot know: an edit, a doubt, a person's promise.

Never makes one stricter than what was done before about the same message.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.facts import LET_THROUGH
from bridge.model import Action, Queue, Verdict
from bridge.ports import Known

EDIT_OF_MOVED = "builtin:edit-of-moved"
DOUBTFUL = "builtin:doubtful"


def plain(verdict: Verdict) -> bool:
    """Say whether there was nothing at all in a message."""
    return verdict.rule is None and not verdict.findings and not verdict.hints


def follow(verdict: Verdict, original: Known) -> Verdict:
    """The verdict on an edit of a message that was moved: it goes the same way."""
    if verdict.action >= Action.REDIRECT:
        return verdict
    return replace(
        verdict,
        action=original.action or Action.REDIRECT,
        rule=EDIT_OF_MOVED,
        reason="it edits a message that was moved",
    )


def doubtful(verdict: Verdict, doubt: str) -> Verdict:
    """What its author says of itself does not add up: a person looks, whatever else happens."""
    return replace(
        verdict,
        rule=verdict.rule or DOUBTFUL,
        reason=verdict.reason if verdict.action else f"as presented by the server: {doubt}",
        referrals=verdict.referrals | {Queue.ERRORS},
    )


def let_through(verdict: Verdict) -> Verdict:
    """The verdict on a message whose sender was promised that it stays; who looks, still looks."""
    return replace(
        verdict,
        action=Action.ALLOW,
        rule=LET_THROUGH,
        reason="a person said that it may be sent",
        score=0,
    )
