"""Who the bot is to the server and to other people's clients: sign-in and cross-signing.

Never makes a second identity while the seeds of the first are there: everybody who had verified
the bot would see an alarm. Clients stop sending keys to a device that its owner has not
cross-signed (MSC4153), and nio has no call for it.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nio.api import Api as NioApi

from bridge.errors import ConfigError, NotPermitted, NotSignedIn
from bridge.matrix.api import Api, login
from bridge.matrix.client import LampClient
from bridge.matrix.seeds import USES, Seeds, Vault, public
from bridge.model import UserId
from bridge.secret import read_secret, write_secret

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How the bot signs in: with a token that it was given, or with its password."""

    url: str
    user: UserId
    state: Path
    token_file: Path | None
    password_file: Path | None
    #: What the cross-signing seeds are locked with; None: a file beside the state folder.
    identity_passphrase: Path | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The bot's device, as its state folder remembers it."""

    user_id: str
    device_id: str
    token: str


async def sign_in(account: Account) -> Session:
    """Return the device that we are: the remembered one, or a new one at the first start.

    Raises:
        NotSignedIn: token or password are not accepted.
        ConfigError: the crypto store is of another device than the token.
    """
    before = remembered(account.state)
    if account.token_file is not None:
        token = read_secret(account.token_file, "the bot's access token")
        async with Api(account.url, token) as api:
            try:
                who = await api.call("GET", "/_matrix/client/v3/account/whoami")
            except NotSignedIn:
                raise NotSignedIn(
                    f"The homeserver {account.url} does not accept the access token in "
                    f"{account.token_file}: it has expired or was withdrawn. Put a fresh token "
                    "of the same device into that file."
                ) from None
        session = Session(user_id=who["user_id"], device_id=who.get("device_id", ""), token=token)
        if before is not None and before.device_id != session.device_id:
            raise ConfigError(
                str(account.state),
                None,
                f"the keys kept here are of device {before.device_id}, the token is of "
                f"{session.device_id}; use a token of the first, or an empty state folder",
            )
    elif before is not None:
        session = before
        await _tryremembered(account, session)
    else:
        session = await _first_login(account)
    if session.user_id != account.user:
        raise ConfigError(
            str(account.token_file or account.password_file),
            None,
            f"this signs in as {session.user_id}, but homeserver.user is {account.user}",
        )
    write_secret(account.state / "session.json", msgspec.json.encode(session).decode())
    return session


def remembered(state: Path) -> Session | None:
    """The device that signed in before; None if none did.

    Raises:
        ConfigError: the file is damaged, or others may read it.
    """
    path = state / "session.json"
    if not path.exists():
        return None
    try:
        text = read_secret(path, "the bot's session")
        return msgspec.json.decode(text, type=Session)
    except msgspec.MsgspecError:
        raise ConfigError(str(path), None, "the bot's session in this file is damaged") from None


async def _tryremembered(account: Account, session: Session) -> None:
    async with Api(account.url, session.token) as api:
        try:
            await api.call("GET", "/_matrix/client/v3/account/whoami")
        except NotSignedIn:
            raise NotSignedIn(
                f"The homeserver {account.url} no longer accepts the bot's session of device "
                f"{session.device_id}. If the device was removed on purpose, move the folder "
                f"{account.state} away (keep it) and start again; the bot signs in as a new device."
            ) from None


async def _first_login(account: Account) -> Session:
    if account.password_file is None:
        raise ConfigError("config", None, "homeserver needs a token_file or a password_file")
    password = read_secret(account.password_file, "the bot's password")
    try:
        got = await login(
            account.url,
            account.user,
            password,
            # Random, because nio confuses devices of one id across users (12).
            device_id="BL" + secrets.token_hex(8).upper(),
            device_name="Blue Lamp (automated)",
        )
    except NotSignedIn:
        raise NotSignedIn(
            f"The homeserver {account.url} does not accept the password in "
            f"{account.password_file} for {account.user}."
        ) from None
    return Session(user_id=got.user_id, device_id=got.device_id, token=got.token)


def pickle_key(state: Path) -> str:
    """Return the key that the crypto store is encrypted under, made at the first start."""
    path = state / "pickle.key"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(32))
    return read_secret(path, "the key of the crypto store")


async def cross_sign(client: LampClient, api: Api, vault: Vault, password: str | None) -> None:
    """Make the bot's cross-signing identity known and sign this device with it, once.

    The seeds are needed only to sign a new device: once this one is signed, the vault and its
    passphrase may be kept in a safe instead of on the bot's host. *password* is needed only to
    replace an identity that somebody else made.

    Raises:
        NotPermitted: the account already has an identity whose seeds are not here.
        ConfigError: the vault is there, is needed, and does not open.
    """
    await asyncio.to_thread(vault.take_over)
    user = client.user_id
    asked = await api.call(
        "POST", "/_matrix/client/v3/keys/query", {"device_keys": {user: [client.device_id]}}
    )
    master = (asked.get("master_keys") or {}).get(user) or {}
    known = (master.get("keys") or {}).values()
    ours = vault.master()
    if (ours is None or ours in known) and _is_signed(asked, user, client.device_id):
        return
    if ours is None and master:
        raise NotPermitted(
            f"The bot's identity is not in {vault.path}, and this device is not signed by it. Put "
            f"the file and its passphrase, {vault.passphrase}, back from where you keep them, "
            "start once, and take them away again."
        )
    seeds = await asyncio.to_thread(vault.make if ours is None else vault.open)
    if public(seeds["master"]) not in known:
        await _upload_identity(client, api, seeds, password)
        log.info("identity.made", user=user, keep=f"move {vault.path} and {vault.passphrase} to "
                 "safes: they are needed only when the bot gets a new device")  # fmt: skip
    device = (asked.get("device_keys") or {}).get(user, {}).get(client.device_id)
    if device is None:
        raise NotPermitted(f"The homeserver has no keys of the bot's device {client.device_id}.")
    signer = f"ed25519:{public(seeds['self_signing'])}"
    if signer in device.get("signatures", {}).get(user, {}):
        return
    device.pop("unsigned", None)
    _sign(seeds["self_signing"], user, device)
    answer = await api.call(
        "POST", "/_matrix/client/v3/keys/signatures/upload", {user: {client.device_id: device}}
    )
    if answer.get("failures"):
        raise NotPermitted("The homeserver did not take the bot's signature of its own device.")
    log.info("identity.device_signed", device=client.device_id)


def _is_signed(asked: dict[str, Any], user: str, device_id: str) -> bool:
    """Whether the account's own identity has signed the device, as the server has it."""
    signing = (asked.get("self_signing_keys") or {}).get(user) or {}
    device = (asked.get("device_keys") or {}).get(user, {}).get(device_id) or {}
    signatures = (device.get("signatures") or {}).get(user) or {}
    return any(name in signatures for name in signing.get("keys") or {})


async def _upload_identity(
    client: LampClient, api: Api, seeds: Seeds, password: str | None
) -> None:
    user = client.user_id
    keys = {use: _key_object(user, use, seeds[use]) for use in USES}
    _sign(seeds["master"], user, keys["self_signing"])
    _sign(seeds["master"], user, keys["user_signing"])
    signature = client.olm.sign_json(dict(keys["master"]))
    keys["master"]["signatures"] = {user: {f"ed25519:{client.device_id}": signature}}
    body: dict[str, Any] = {f"{use}_key": key for use, key in keys.items()}
    path = "/_matrix/client/v3/keys/device_signing/upload"
    try:
        await api.call("POST", path, body)
    except NotPermitted:
        if password is None:
            raise NotPermitted(
                f"The account {user} already has a cross-signing identity that is not the bot's. "
                "Give the bot its password_file so that it can replace it, or its identity.vault "
                "and the passphrase of it back."
            ) from None
        body["auth"] = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password,
        }
        await api.call("POST", path, body)


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _key_object(user: str, use: str, seed: bytes) -> dict[str, Any]:
    key = public(seed)
    return {"user_id": user, "usage": [use], "keys": {f"ed25519:{key}": key}}


def _sign(seed: bytes, user: str, thing: dict[str, Any]) -> None:
    bare = {name: value for name, value in thing.items() if name not in {"signatures", "unsigned"}}
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(
        NioApi.to_canonical_json(bare).encode()
    )
    mine = thing.setdefault("signatures", {}).setdefault(user, {})
    mine[f"ed25519:{public(seed)}"] = _unpadded(signature)
