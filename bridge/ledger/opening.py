"""Reading sealed records with the custodians' keys.

Never used by the bot. Whoever calls this has recorded that they look, before they look.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bridge.errors import CannotOpen, LedgerError
from bridge.ledger.keys import Custodian
from bridge.ledger.record import (
    commitment,
    epoch_info,
    half,
    open_body,
    tag,
    tag_info,
)
from bridge.model import Rid
from bridge.verify.headers import PLAIN, Header, Kind
from bridge.verify.notes import decode64
from bridge.verify.papers import OVERHEAD

_SEALED_SECRET = OVERHEAD + 32


class Reader:
    """Opens the records of one log as they are fed to it in order."""

    def __init__(self, origin: str, names: Sequence[str], custodians: Sequence[Custodian]) -> None:
        """Read the log *origin* that is sealed to the custodians *names*, all of whom are needed.

        Raises:
            CannotOpen: one of them is not here.
        """
        self._origin = origin
        by_name = {custodian.name: custodian for custodian in custodians}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise CannotOpen(f"the key of {' and '.join(missing)} is needed as well")
        self._custodians = [by_name[name] for name in names]
        self._epochs: dict[str, tuple[bytes, ...]] = {}
        self._tag_keys: dict[str, bytes] = {}

    def learn(self, header: Header, body: bytes) -> None:
        """Take in an epoch or certificate record; a bucket whose key is gone stays closed."""
        bucket, rid = str(header.get("bucket", "")), str(header["rid"])
        if header["kind"] == Kind.EPOCH:
            self._epochs[rid] = self._secrets(header, bucket, rid, body)
        elif header["kind"] == Kind.CERTIFICATE:
            first = self._custodians[0]
            info = tag_info(self._origin, bucket, rid, first.name)
            self._tag_keys[bucket] = first.unseal(bucket, _tag_key(body, first.name), info)

    def _secrets(self, header: Header, bucket: str, rid: str, body: bytes) -> tuple[bytes, ...]:
        if len(body) != _SEALED_SECRET * len(self._custodians):
            raise LedgerError(f"epoch {rid} is not sealed to {len(self._custodians)} custodians")
        parts = [body[i : i + _SEALED_SECRET] for i in range(0, len(body), _SEALED_SECRET)]
        found = tuple(
            custodian.unseal(bucket, part, epoch_info(self._origin, bucket, rid, custodian.name))
            for custodian, part in zip(self._custodians, parts, strict=True)
        )
        if ",".join(commitment(one) for one in found) != header.get("commit"):
            raise LedgerError(f"epoch {rid} holds other secrets than its header commits to")
        return found

    def open(self, header: Header, body: bytes) -> bytes:
        """Return the JSON inside a record.

        Raises:
            CannotOpen: its epoch was not learned, or it was changed.
        """
        if header["kind"] in PLAIN:
            return body
        epoch = self._epochs.get(str(header.get("epoch")))
        if epoch is None:
            raise CannotOpen(f"the epoch of record {header['rid']} is not open")
        halves = b"".join(half(one, Rid(str(header["rid"]))) for one in epoch)
        return open_body(self._origin, header, body, halves)

    def matches(self, header: Header, what: str, identifier: str) -> bool:
        """Say whether the record's tag *what* (room, sender, event) is of *identifier*."""
        key = self._tag_keys.get(str(header.get("bucket")))
        return key is not None and header.get(what) == tag(key, what, identifier)


def _tag_key(body: bytes, custodian: str) -> bytes:
    try:
        parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        sealed = msgspec.json.decode(parts["tag_keys"], type=dict[str, str])
        return decode64(sealed[custodian])
    except (msgspec.MsgspecError, KeyError):
        raise CannotOpen(f"this certificate record holds no tag key for {custodian}") from None
