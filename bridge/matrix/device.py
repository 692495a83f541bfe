"""From an account to a device that can speak: signed in, keys known, cross-signed.

Never hands out a transport whose device other people's clients would not trust.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from bridge.matrix.api import Api
from bridge.matrix.client import LampClient
from bridge.matrix.identity import Account, cross_sign, pickle_key, sign_in
from bridge.matrix.media import fetch
from bridge.matrix.seeds import Vault
from bridge.matrix.transport import MOST_BYTES, MatrixTransport
from bridge.model import RoomId
from bridge.secret import read_secret

#: 429s are waited out for so long before a request counts as failed.
_PATIENCE_S = 60.0
#: A room's past may be told to us in so many bytes: about 20,000 keys.
_MOST_BUNDLE = 16 * 1024 * 1024


async def open_device(
    account: Account, *, approved: Callable[[RoomId], bool], most_bytes: int = MOST_BYTES
) -> MatrixTransport:
    """Sign in, and make the device known and cross-signed; *approved* rooms are joined when asked.

    Files of more than *most_bytes* are neither kept nor copied.

    Raises:
        NotSignedIn: token or password are not accepted.
        ConfigError: a file of the account is wrong.
        TransportError: the homeserver is not there or refuses.
    """
    session = await sign_in(account)
    store = account.state / "crypto"
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = LampClient(account.url, session.user_id, store, pickle_key(account.state))
    client.restore_login(session.user_id, session.device_id, session.token)
    api = Api(account.url, session.token, patience_s=_PATIENCE_S)
    client.bundles.download = functools.partial(fetch, api, most_bytes=_MOST_BUNDLE)
    transport = MatrixTransport(client, api, approved=approved, most_bytes=most_bytes)
    password_file = account.password_file
    try:
        await client.tend_keys()
        await client.upload_fallback_key(api)
        password = read_secret(password_file, "the password") if password_file else None
        vault = Vault.of(account.state, account.identity_passphrase)
        await cross_sign(client, api, vault, password)
    except BaseException:
        await transport.close()
        raise
    return transport
