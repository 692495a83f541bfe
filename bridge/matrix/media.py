"""Files: fetched as they lie on the server, and posted again under keys of their own.

Never writes a file to a disk, and never keeps what it has decrypted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nio.crypto.attachments import decrypt_attachment, encrypt_attachment
from nio.exceptions import EncryptionError

from bridge.errors import NotFound
from bridge.matrix.api import Api, quote
from bridge.matrix.nested import read_json

#: Relations of the old place make no sense in the new one.
_LEFT_OUT = frozenset({"m.relates_to", "m.new_content", "m.mentions"})


async def fetch(api: Api, url: str, *, most_bytes: int) -> bytes:
    """Fetch the file at *url* (mxc://server/id), encrypted if it was encrypted.

    Raises:
        NotFound: it is gone, or the url is none.
        TooLarge: it is longer than *most_bytes*.
        TransportError: the homeserver is not there or refuses.
    """
    server, slash, name = url.removeprefix("mxc://").partition("/")
    if not url.startswith("mxc://") or not slash or not server or not name:
        raise NotFound("A file's address is not one of this network.")
    path = f"/_matrix/client/v1/media/download/{quote(server)}/{quote(name)}"
    return await api.download(path, most_bytes=most_bytes)


def unsealed(content: bytes, url: str, sealed: bytes) -> bytes:
    """Decrypt the file at *url* in memory with the key that *content* has for it.

    A file that was sent without encryption is what it is.

    Raises:
        NotFound: it does not decrypt: it is not the one that was sent.
    """
    whole: dict[str, Any] = read_json(content)
    for said in (whole, _mapping(whole.get("m.new_content"))):
        for file in (said.get("file"), _mapping(said.get("info")).get("thumbnail_file")):
            if isinstance(file, dict) and file.get("url") == url:
                return _decrypt(sealed, file)
    return sealed


async def put(api: Api, plain: bytes) -> dict[str, Any]:
    """Upload a file under fresh keys; where it lies and how to read it, as events say it.

    Raises:
        TransportError: as `Api.upload`.
    """
    sealed, keys = encrypt_attachment(plain)
    return {**keys, "url": await api.upload(sealed)}


async def again(api: Api, content: bytes, *, most_bytes: int) -> dict[str, Any]:
    """Upload the files of a message anew; return its content with the new places and keys.

    *content* is the message's content as JSON.

    Raises:
        NotFound: a file is gone, or does not decrypt: it is not the one that was sent.
        TransportError: as `fetch`.
    """
    old: dict[str, Any] = json.loads(content)
    fresh = old.get("m.new_content")
    old = fresh if isinstance(fresh, dict) else old
    new = {name: value for name, value in old.items() if name not in _LEFT_OUT}
    if place := await _again(api, old.get("file"), old.get("url"), most_bytes):
        new.pop("url", None)
        new["file"] = place
    info = old.get("info")
    if isinstance(info, dict):
        info = dict(info)
        place = await _again(api, info.get("thumbnail_file"), info.get("thumbnail_url"), most_bytes)
        for name in ("thumbnail_file", "thumbnail_url"):
            info.pop(name, None)
        if place:
            info["thumbnail_file"] = place
        new["info"] = info
    return {**new, "m.mentions": {}}


async def _again(api: Api, file: object, url: object, most_bytes: int) -> dict[str, Any] | None:
    if isinstance(file, dict) and isinstance(file.get("url"), str):
        plain = _decrypt(await fetch(api, file["url"], most_bytes=most_bytes), file)
    elif isinstance(url, str):
        plain = await fetch(api, url, most_bytes=most_bytes)
    else:
        return None
    return await put(api, plain)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _decrypt(sealed: bytes, file: Mapping[str, Any]) -> bytes:
    try:
        return bytes(
            decrypt_attachment(sealed, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
        )
    except (EncryptionError, KeyError, TypeError, ValueError):
        raise NotFound("A file does not decrypt: it is not the one that was sent.") from None
