"""Who may do what: the table of role and right, and which right each page needs.

Never allows what does not stand here: a page that is not in `PAGES` cannot be served, and a role
that is not in `ROLES` may do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """Something that a person may do in the console."""

    NOBODY = "nobody has signed in yet"
    ANYBODY = "whoever has signed in"
    SEARCH = "search what stands in the clear, and the words of what is open"
    READ = "read what was opened for the purpose of the visit"
    ASK = "ask custodians to release records"
    UNLOCK = "unlock a custodian's or the reviewers' key"
    APPROVE = "release what somebody else asked for"
    REVIEW = "read flagged messages and decide referrals and appeals"
    CONDUCT = "read professional-standards matters"
    ROOMS = "see the register of rooms"
    RETENTION = "see what is kept, held and due"
    HOLD = "put records on hold, and end a hold"
    DECIDE = "decide what becomes of records whose time has come"
    POLICIES = "see which policies decide and how often they err"
    TRY = "try a draft of the policy over what was said"
    NOTICES = "see who was shown which notice"
    EXPORT = "hand records out"
    SUBJECT = "gather what there is about one person"
    LOOKED = "see who looked at what"
    INDEPENDENT = "see who looked in restricted enquiries"
    ACCOUNTS = "see who can sign in"


_SEE = frozenset({Right.ROOMS, Right.RETENTION, Right.POLICIES, Right.NOTICES})
_LOOK = frozenset({Right.SEARCH, Right.READ, Right.ASK})

#: Role, as people.csv has it → what it may do. Whoever has several may do all of it.
ROLES: Mapping[str, frozenset[Right]] = {
    "reviewer": frozenset({Right.REVIEW, Right.UNLOCK, Right.POLICIES, Right.ROOMS}),
    "professional-standards": frozenset({Right.CONDUCT, Right.REVIEW, Right.UNLOCK, Right.ASK,
                                         Right.SEARCH, Right.READ}),
    "auditor": _SEE | _LOOK | {Right.HOLD, Right.DECIDE, Right.SUBJECT, Right.TRY},
    "custodian": frozenset({Right.UNLOCK, Right.APPROVE, Right.RETENTION, Right.HOLD, Right.DECIDE,
                            Right.ROOMS}),
    "disclosure-officer": _LOOK | {Right.EXPORT, Right.SUBJECT, Right.HOLD, Right.RETENTION},
    "log-reader": frozenset({Right.LOOKED}),
    "independent-log-reader": frozenset({Right.LOOKED, Right.INDEPENDENT}),
    # What they ask custodians for is judged again, and never shown to them.
    "policy-officer": frozenset({Right.POLICIES, Right.ROOMS, Right.NOTICES, Right.TRY,
                                 Right.ASK}),
    "administrator": frozenset({Right.ROOMS, Right.POLICIES, Right.NOTICES, Right.ACCOUNTS}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """What it takes to be served one page."""

    right: Right
    #: A purpose and a case must have been given first.
    visit: bool = False
    #: Another right that will do as well.
    either: Right | None = None


_G, _P = "GET", "POST"
#: (method, path) → what it takes. Nothing else is served.
PAGES: Mapping[tuple[str, str], Page] = {
    (_G, "/static/{name}"): Page(Right.NOBODY),
    (_G, "/static/images/{name}"): Page(Right.NOBODY),
    (_G, "/sign-in"): Page(Right.NOBODY),
    (_P, "/sign-in"): Page(Right.NOBODY),
    (_G, "/sign-in/provider"): Page(Right.NOBODY),
    (_G, "/sign-in/provider/back"): Page(Right.NOBODY),
    (_G, "/enrol"): Page(Right.NOBODY),
    (_P, "/enrol"): Page(Right.NOBODY),
    (_G, "/enrol/second-factor"): Page(Right.NOBODY),
    (_P, "/enrol/second-factor"): Page(Right.NOBODY),
    (_P, "/sign-out"): Page(Right.ANYBODY),
    (_P, "/stay"): Page(Right.ANYBODY),
    (_G, "/start"): Page(Right.ANYBODY),
    (_P, "/start"): Page(Right.ANYBODY),
    (_G, "/"): Page(Right.ANYBODY, visit=True),
    (_G, "/keys"): Page(Right.UNLOCK, visit=True, either=Right.ASK),
    (_P, "/keys/unlock"): Page(Right.UNLOCK, visit=True),
    (_P, "/keys/lock"): Page(Right.ANYBODY),
    (_G, "/keys/ask"): Page(Right.ASK, visit=True),
    (_P, "/keys/ask"): Page(Right.ASK, visit=True),
    (_G, "/keys/requests/{request}"): Page(Right.APPROVE, visit=True),
    (_P, "/keys/requests/{request}"): Page(Right.APPROVE, visit=True),
    (_P, "/keys/requests/{request}/use"): Page(Right.ASK, visit=True),
    (_G, "/search"): Page(Right.SEARCH, visit=True),
    (_P, "/search"): Page(Right.SEARCH, visit=True),
    (_G, "/search/{search}"): Page(Right.SEARCH, visit=True),
    (_P, "/search/{search}/stop"): Page(Right.SEARCH, visit=True),
    (_P, "/search/{search}/export"): Page(Right.EXPORT, visit=True),
    (_G, "/rooms"): Page(Right.ROOMS, visit=True),
    (_G, "/drift"): Page(Right.ROOMS, visit=True),
    (_G, "/rooms/{room}"): Page(Right.ROOMS, visit=True),
    (_G, "/rooms/{room}/conversation"): Page(Right.READ, visit=True),
    (_P, "/rooms/{room}/export"): Page(Right.EXPORT, visit=True),
    (_G, "/records/{rid}"): Page(Right.READ, visit=True, either=Right.REVIEW),
    (_G, "/records/{rid}/proof"): Page(Right.READ, visit=True, either=Right.REVIEW),
    (_P, "/records/{rid}/file"): Page(Right.READ, visit=True, either=Right.REVIEW),
    (_G, "/referrals"): Page(Right.REVIEW, visit=True),
    (_G, "/conduct"): Page(Right.CONDUCT, visit=True),
    (_G, "/referrals/{rid}"): Page(Right.REVIEW, visit=True, either=Right.CONDUCT),
    (_P, "/referrals/{rid}"): Page(Right.REVIEW, visit=True, either=Right.CONDUCT),
    (_G, "/referrals/{rid}/reveal"): Page(Right.CONDUCT, visit=True),
    (_P, "/referrals/{rid}/reveal"): Page(Right.CONDUCT, visit=True),
    (_G, "/retention"): Page(Right.RETENTION, visit=True),
    (_G, "/disposals"): Page(Right.RETENTION, visit=True),
    (_P, "/disposals/decide"): Page(Right.DECIDE, visit=True),
    (_P, "/retention/holds"): Page(Right.HOLD, visit=True),
    (_P, "/retention/holds/{hold}/release"): Page(Right.HOLD, visit=True),
    (_G, "/policies"): Page(Right.POLICIES, visit=True),
    (_G, "/policies/drafts/{revision}"): Page(Right.POLICIES, visit=True),
    (_P, "/policies/drafts/{revision}/try"): Page(Right.TRY, visit=True),
    (_G, "/policies/tried/{trial}"): Page(Right.TRY, visit=True),
    (_P, "/policies/tried/{trial}/stop"): Page(Right.TRY, visit=True),
    (_G, "/acknowledgements"): Page(Right.NOTICES, visit=True),
    (_G, "/acknowledgements/{room}"): Page(Right.NOTICES, visit=True),
    (_G, "/subject"): Page(Right.SUBJECT, visit=True),
    (_P, "/subject"): Page(Right.SUBJECT, visit=True),
    (_G, "/subject/{search}"): Page(Right.SUBJECT, visit=True),
    (_G, "/looked"): Page(Right.LOOKED, visit=True),
    (_P, "/looked"): Page(Right.LOOKED, visit=True),
    (_P, "/looked/export"): Page(Right.LOOKED, visit=True),
    (_G, "/accounts"): Page(Right.ACCOUNTS, visit=True),
    (_P, "/accounts/{name}/sign-out"): Page(Right.ACCOUNTS, visit=True),
}
