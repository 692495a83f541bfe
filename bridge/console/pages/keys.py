"""Keys: unlocking a custodian's or the reviewers' vault for this visit, and locking it again.

Never keeps a share or a passphrase, and never a key longer than the visit.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.console.desk import Desk, Here, Said, here, note, see_other, text_of
from bridge.console.rights import Right
from bridge.errors import BridgeError, CannotOpen
from bridge.facts import Basis
from bridge.ledger.keys import Custodian
from bridge.ledger.opening import Reader, ReviewReader
from bridge.records.archive import Sight
from bridge.records.custody import names_of
from bridge.records.safe import open_safe
from bridge.secret import write_secret
from bridge.store.journal import Category
from bridge.verify import Unsound

_LONGEST_SHARE = 1024


async def show(request: web.Request) -> web.Response:
    """Show which keys are open, and how to open others."""
    at = here(request)
    return at.page("keys.html", **_shown(at))


async def unlock(request: web.Request) -> web.Response:
    """Open one vault for this visit."""
    at, form = here(request), await request.post()
    name, passphrase = text_of(form, "vault", 80), str(form.get("passphrase", ""))
    share = _share(form.get("share"))
    vaults = vaults_of(at.desk, at)
    errors: dict[str, str] = {}
    if name not in vaults:
        errors["vault"] = "Select whose key it is"
    if not share:
        errors["share"] = "Select the share file, from where you keep it"
    if not passphrase:
        errors |= {"passphrase": "Enter your passphrase"}
    keys = (f"vault {name} {at.session.name}",)
    if not errors and at.desk.throttle.wait(*keys):
        raise Said("Too many tries. Wait a few minutes and try again.", 429)
    if not errors:
        try:
            custodian, who = await asyncio.to_thread(_open, vaults[name], share, passphrase)
            _refuse_strangers(at, name, custodian)
            await at.record(
                note(f"{at.session.name} unlocked the key of {name} as {who}"),
                at.entry("", Category.ACCESS, f"unlocked the key of {name}", role=who),
            )
            await _use(at, name, custodian, who)
        except (CannotOpen, Unsound) as exc:
            at.desk.throttle.fail(*keys)
            errors["passphrase"] = str(exc)
        except BridgeError as exc:
            errors["share"] = str(exc)
    if errors:
        return at.page("keys.html", status=400, errors=errors, vault=name, **_shown(at))
    at.desk.throttle.forget(*keys)
    at.say(f"The key of {name} is unlocked until you lock it, change purpose or sign out.")
    return see_other("/keys")


async def lock(request: web.Request) -> web.Response:
    """Close everything that was opened for this visit."""
    at = here(request)
    if at.session.visit is not None:
        at.session.visit.lock()
    at.say("Everything is locked.")
    return see_other("/keys" if at.rights & {Right.UNLOCK, Right.ASK} else "/")


def vaults_of(desk: Desk, at: Here) -> dict[str, Path]:
    """The vaults that this person may unlock on this machine."""
    reviewers = desk.config.reviewers
    found: dict[str, Path] = {}
    for name, path in desk.settings.vaults.items():
        if reviewers is not None and name == reviewers.name:
            if at.may(Right.REVIEW):
                found[name] = path
        elif at.may(Right.APPROVE):  # custodians, and nobody else
            found[name] = path
    return found


def _shown(at: Here) -> dict[str, Any]:
    config = at.desk.config
    others = list(at.desk.requests.values())
    return {
        "vaults": sorted(vaults_of(at.desk, at)),
        "reviewers": config.reviewers.name if config.reviewers else "",
        "unlocked": sorted(at.visit.custodians),
        "mine": [one for one in others if one.made.who == at.session.name],
        "theirs": [one for one in others if one.made.who != at.session.name]
        if at.may(Right.APPROVE)
        else [],
    }


def _share(field: object) -> bytes:
    if not isinstance(field, web.FileField):
        return b""
    raw: bytes = field.file.read(_LONGEST_SHARE + 1)
    return raw if len(raw) <= _LONGEST_SHARE else b""


def _open(vault: Path, share: bytes, passphrase: str) -> tuple[Custodian, str]:
    """Open a vault with a share that was handed in; it is on the disk only while that takes."""
    with tempfile.TemporaryDirectory(prefix="bluelamp-", dir=_memory()) as folder:
        own = Path(folder) / "share"
        try:
            write_secret(own, share.decode("ascii").strip())
            safe = open_safe(vault, own, passphrase)
        except UnicodeDecodeError:
            raise CannotOpen("This is not a share file.") from None
        finally:
            if own.exists():
                own.write_bytes(b"\0" * len(share))
    return safe.custodian, safe.vault.who


def _memory() -> str | None:
    """A folder that lies in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - made anew, only ours


def _refuse_strangers(at: Here, name: str, custodian: Custodian) -> None:
    config = at.desk.config
    parties = (*config.custodians, *((config.reviewers,) if config.reviewers else ()))
    pinned = {one.name: one.identity for one in parties}
    if pinned.get(name) != custodian.public:
        raise CannotOpen(f"This vault is not that of {name}, by the identity that is pinned.")


async def _use(at: Here, name: str, custodian: Custodian, who: str) -> None:
    """Read with this key from now on."""
    config, visit = at.desk.config, at.visit
    if config.reviewers is not None and name == config.reviewers.name:
        visit.review = Sight(ReviewReader(config.origin, custodian))
        return
    visit.custodians[name] = custodian
    names = names_of(config)
    if set(names) <= set(visit.custodians):
        sight = Sight(Reader(config.origin, names, list(visit.custodians.values())))
        await at.work(sight.prepare)
        visit.sight, visit.basis = sight, Basis.CUSTODIANS.value
        visit.role = " and ".join(f"custodian {one}" for one in sorted(visit.custodians))
        if who not in visit.custodians:
            visit.role += f" ({who})"
        visit.request, visit.until = "", None
