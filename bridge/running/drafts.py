"""Which policy files decide: what is in the folder, or what two policy officers have approved.

Never takes a draft for a policy: where two people are asked, only what they approved is loaded.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from bridge.config import Config, load_policies, load_register
from bridge.errors import ConfigError, StoreError
from bridge.model import Action, Ms, Rid, UserId
from bridge.policy import Policy
from bridge.policy.activation import standing
from bridge.policy.load import load
from bridge.ports import Clock, Store
from bridge.register import People
from bridge.rooms.roster import Roster
from bridge.running.live import Live
from bridge.running.policydesk import Found, PolicyDesk
from bridge.running.shelf import FEWEST_DIGITS, Shelf
from bridge.store.chain import closed
from bridge.store.reader import SqliteReader


def approved(config: Config) -> str | None:
    """The revision that two people made active; None if none ever was, or nobody is asked."""
    if not config.two_people or not config.ledger.exists():
        return None
    reader = SqliteReader(config.ledger)
    try:
        return standing((one.revision, one.by) for one in reader.approvals()).active
    finally:
        reader.close()


def deciding(config: Config) -> Policy:
    """Load what decides; where two people are asked and none have approved, the draft.

    Raises:
        ConfigError: something in it is wrong, or the copy of what was approved is gone.
    """
    revision = approved(config)
    return load_policies(config.policies) if revision is None else load_copy(config, revision)


def is_draft(config: Config) -> bool:
    """Say whether two people are asked and have not made any policy active yet."""
    return config.two_people and approved(config) is None


def must_be_approved(config: Config) -> None:
    """Refuse to run under a draft.

    Raises:
        ConfigError: two people are asked, and have not approved anything.
    """
    if is_draft(config):
        raise ConfigError(
            str(config.policies), None,
            "no policy is active yet: two policy officers have to approve this draft with "
            "'bluelamp policy activate' ('bluelamp policy status' shows its digest)",
        )  # fmt: skip


def load_copy(config: Config, revision: str) -> Policy:
    """Load the copy of a policy that was live once.

    Raises:
        ConfigError: it is not there, or is not what its name says.
    """
    return load_files(Shelf(config.shelf).get(revision))


def load_files(files: Mapping[str, bytes]) -> Policy:
    """Make a policy of *files*, as the bot does when it is running: costs are probed as well.

    Raises:
        PolicyError: something in one of them is wrong.
    """
    return load(files, clock=time.thread_time)


def find_policies(config: Config, named: str) -> Policy:
    """Load the policies of a folder, or the copy with that digest or its first digits.

    Raises:
        ConfigError: there is neither, or it does not load.
    """
    if Path(named).is_dir():
        return load_policies(Path(named))
    revision = Shelf(config.shelf).find(named)
    if revision is None:
        raise ConfigError(
            named, None,
            f"this is neither a folder nor {FEWEST_DIGITS} digits or more of a policy of which "
            f"there is a copy in {config.shelf}",
        )  # fmt: skip
    return load_copy(config, revision)


def find_verdict(config: Config, rid: str) -> Found | None:
    """Find the verdict of that name, or the newest about the record of that name."""
    if not rid.isalnum():
        return None
    for path in (config.ledger, *reversed(closed(config.ledger))):
        if (found := _in_log(path, rid)) is not None:
            return found
    return None


def _in_log(path: Path, rid: str) -> Found | None:
    try:
        reader = SqliteReader(path)
    except StoreError:
        return None
    try:
        row = reader.verdict(rid)
    finally:
        reader.close()
    if row is None:
        return None
    header = msgspec.json.decode(row.header, type=dict[str, str | int])
    return Found(
        rid=Rid(str(header["rid"])),
        rule=str(header.get("rule", "")),
        action=Action[str(header["action"]).upper()],
    )


async def _tell_nobody(_name: str, _words: str, _since: Ms) -> bool:
    return True


def roster(  # noqa: PLR0913, PLR0917 - it is where what follows the people is put together
    config: Config,
    people: People,
    store: Store,
    clock: Clock,
    tell: Callable[[str, str, Ms], Awaitable[bool]] | None = None,
    names: dict[UserId, str] | None = None,
) -> Roster:
    """What follows the list of *people*; *names* is kept up to date with it."""
    return Roster(
        store=store,
        path=config.people,
        clock=clock,
        load=lambda: load_register(config)[1],
        tell=tell or _tell_nobody,
        loaded=people,
        names={} if names is None else names,
    )


def desk(  # noqa: PLR0913, PLR0917 - it is where what follows a policy is put together
    config: Config,
    policy: Policy,
    people: Roster,
    store: Store,
    clock: Clock,
    tell: Callable[[str, str, Ms], Awaitable[bool]] | None = None,
) -> PolicyDesk:
    """What follows *policy* and changes it; without *tell*, for a bot that is not running."""
    live = Live(
        store=store,
        shelf=Shelf(config.shelf),
        folder=config.policies,
        crowd=lambda: len(people.people().persons),
        clock=clock,
        two_people=config.two_people,
        load=load_files,
        tell=tell or _tell_nobody,
        loaded=policy,
        running=tell is not None,
    )
    return PolicyDesk(
        live=live,
        people=people.people,
        find=functools.partial(find_verdict, config),
        shared_account=config.shared_account,
        reread=people.reload if tell is not None else None,
    )
