"""Opens a file of a message as it lay on the server: encrypted, with its key in the message.

Never believes the file: its digest stands in the message, and is held against it first.
https://spec.matrix.org/latest/client-server-api/#sending-encrypted-attachments
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from bridge.errors import CannotOpen

#: Bytes of an AES-256 key, and of the counter that it begins with.
_KEY, _COUNTER = 32, 16


def open_attachment(raw: bytes, content: Mapping[str, Any]) -> bytes:
    """Return the file of a message with this *content*; as it is where it was never encrypted.

    Raises:
        CannotOpen: the message does not say how, or it is another file.
    """
    file = content.get("file")
    if not isinstance(file, Mapping):
        return raw
    key = file.get("key")
    hashes = file.get("hashes")
    if not isinstance(key, Mapping) or not isinstance(hashes, Mapping):
        raise CannotOpen("the message does not say how its file is opened")
    digest = _unpadded(hashes.get("sha256"))
    if not hmac.compare_digest(hashlib.sha256(raw).digest(), digest):
        raise CannotOpen("this is not the file that the message names: its digest is another")
    secret, counter = _unpadded(key.get("k")), _unpadded(file.get("iv"))
    if len(secret) != _KEY or len(counter) != _COUNTER:
        raise CannotOpen("the message does not say how its file is opened")
    decryptor = Cipher(AES(secret), CTR(counter)).decryptor()
    return decryptor.update(raw) + decryptor.finalize()


def _unpadded(text: object) -> bytes:
    """Read base64 without padding, in either alphabet."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "==")
    except (binascii.Error, ValueError):
        return b""
