"""Drafts of the policy that wait: which there are, who put them forward, since when.

Never takes a draft for a policy, and never changes what decides: approving is a command of the
bot's host (`bluelamp policy activate`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from bridge.config import Config
from bridge.errors import BridgeError
from bridge.model import Ms
from bridge.policy.activation import PEOPLE, standing
from bridge.policy.load import revision_of
from bridge.records.archive import Stack
from bridge.running.shelf import Shelf, read_files
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Policy files that do not decide yet."""

    revision: str
    files: Mapping[str, bytes] = field(repr=False)
    #: Matrix ids of who approved it so far; the first of them put it forward.
    approvers: tuple[str, ...] = ()
    #: When it was put forward; None where nobody has.
    since: Ms | None = None
    #: It lies in the folder that people edit; when that was changed last, and by which account of
    #: the machine.
    in_folder: bool = False
    changed: Ms | None = None
    account: str = ""

    @property
    def lacking(self) -> int:
        """How many more people have to approve it."""
        return max(0, PEOPLE - len(self.approvers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What decides, as far as there is a copy of it here, and the drafts beside it."""

    #: The revision of the files that decide; empty where that is not known here.
    active: str
    files: Mapping[str, bytes] | None = field(default=None, repr=False)
    drafts: tuple[Draft, ...] = ()

    def draft(self, revision: str) -> Draft | None:
        """The draft of that revision."""
        return next((one for one in self.drafts if one.revision == revision), None)


def waiting(config: Config, stack: Stack, latest: str) -> Waiting:
    """Say what waits; *latest* is the revision that decided last, as the record has it."""
    shelf = Shelf(config.shelf)
    folder = _folder(config)
    own = revision_of(folder) if folder else ""
    pending: Mapping[str, tuple[str, ...]] = {}
    active = latest
    if config.two_people and config.ledger.exists():
        with closing(SqliteReader(config.ledger)) as reader:
            stand = standing((one.revision, one.by) for one in reader.approvals())
        active, pending = stand.active or "", stand.pending
    elif own and _copy(shelf, latest) is None and _copy(shelf, own) is not None:
        # What decides has another name than its files where rules were weakened, or a language
        # model takes part; and what is kept was taken over.
        active = own
    since = _since(stack)
    found = []
    if folder and own != active:
        found.append(_of_folder(config, own, folder, pending.get(own, ()), since))
    for revision, people in pending.items():
        if revision not in {own, active} and (files := _copy(shelf, revision)) is not None:
            found.append(Draft(revision=revision, files=files, approvers=people,
                               since=_begun(since, revision, people)))  # fmt: skip
    files = folder if own and own == active else _copy(shelf, active)
    return Waiting(active=active, files=files, drafts=tuple(found))


def _folder(config: Config) -> dict[str, bytes]:
    try:
        return read_files(config.policies)
    except BridgeError:
        return {}


def _copy(shelf: Shelf, revision: str) -> dict[str, bytes] | None:
    try:
        return shelf.get(revision) if revision else None
    except BridgeError:
        return None


def _of_folder(
    config: Config,
    revision: str,
    files: Mapping[str, bytes],
    people: tuple[str, ...],
    since: Mapping[str, tuple[Ms, ...]],
) -> Draft:
    changed, account = 0.0, ""
    for name in files:
        # Somebody may be writing there just now; and an account may have been removed.
        with contextlib.suppress(OSError, KeyError):
            path = config.policies / name
            if (at := path.stat().st_mtime) > changed:
                changed, account = at, path.owner()
    return Draft(
        revision=revision, files=files, approvers=people, in_folder=True, account=account,
        since=_begun(since, revision, people), changed=Ms(int(changed * 1000)) or None,
    )  # fmt: skip


def _since(stack: Stack) -> dict[str, tuple[Ms, ...]]:
    """Revision → when it was approved, each time, oldest first."""
    found: dict[str, tuple[Ms, ...]] = {}
    for entry, row in stack.fetch(stack.of_kind(Kind.APPROVAL)):
        header = msgspec.json.decode(row.header, type=dict[str, str | int])
        revision = str(header.get("revision", ""))
        found[revision] = (*found.get(revision, ()), Ms(entry.t))
    return found


def _begun(
    since: Mapping[str, tuple[Ms, ...]], revision: str, people: tuple[str, ...]
) -> Ms | None:
    """When the approvals that still count began: older ones were used up."""
    times = since.get(revision, ())
    return times[-len(people)] if people and len(times) >= len(people) else None
