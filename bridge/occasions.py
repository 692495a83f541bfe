"""On which occasions people are told or asked something. Read as a part of `model`, which has it.

Never says how: the words are in `texts`.
"""

from __future__ import annotations

from enum import StrEnum


class Queue(StrEnum):
    """Which people look. Queues join by union; they never change what happens in the room."""

    APPEALS = "appeals"
    PROFESSIONAL_STANDARDS = "professional-standards"
    #: Beside the one above, never without it: they should not let it wait.
    ESCALATED = "professional-standards-urgent"
    UNDECRYPTABLE = "undecryptable"
    ERRORS = "errors"
    MARKINGS = "markings"
    MEMBERS = "members"  #: a member says that a message is operational
    BRAKE = "brake"  #: Blue Lamp has paused itself: never part of a verdict


class Moment(StrEnum):
    """The occasion of a private word; each has its text in `texts`."""

    NUDGE = "nudge"
    MOVED = "moved"
    REMOVED = "removed"
    STOPPED = "stopped"  #: it was not delivered, and is in the secure room
    WITHHELD = "withheld"  #: it was not delivered, and is nowhere else
    CHOOSE = "choose"  #: it was not delivered: move or discard?
    UNREADABLE = "unreadable"
    SUPPORT = "support"
    APPEALED = "appealed"  #: their appeal was received
    RESTORED = "restored"
    STANDS = "stands"  #: the action stands
    PASSED = "passed"  #: they were right, and may send it again: nothing was left to post
    INTAKE = "intake"  #: to the supervisor: a moved message lies in the intake room
    UNMOVED = "unmoved"  #: to the supervisor instead: it could not be copied there
