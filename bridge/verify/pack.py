"""The disclosure pack: one record, shown to a court with what proves it, and nothing else.

Never needs the ledger, the bot or us: a pack, and the ledger's public key from a source that the
court trusts, are enough.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bridge.verify import Unsound
from bridge.verify.headers import PLAIN, Header, read_header
from bridge.verify.notes import Checkpoint, Cosigner, Verifier, decode64, encode64
from bridge.verify.opening import open_body
from bridge.verify.proofs import Proof, check_proof, parse_proof
from bridge.verify.tree import leaf_hash

#: Stands in every pack.
FORMAT = "bluelamp/pack/v1"
_HALF = 32


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack as it travels, as JSON."""

    format: str
    #: The exact text of the header.
    header: str
    #: The body as it is stored, base64; empty where it is not shown.
    body: str
    #: Each custodian's half of this record's key, side by side, base64; empty where the content
    #: is not shown, or was never sealed.
    halves: str
    #: The text of a tlog-proof.
    proof: str
    #: The ledger's key as the packer knows it, and its witnesses' keys: vkey lines. Hints only:
    #: who made the pack could have made these too.
    verifier: str
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a pack shows, all of it proven."""

    header: Header
    #: What is inside the record; None where the pack does not show it.
    content: bytes | None
    #: The record's number, and the checkpoint that covers it.
    index: int
    checkpoint: Checkpoint
    #: Witness → when it signed that checkpoint (Unix seconds): the record was written before that.
    witnessed: dict[str, int]
    #: The key that it was checked against, and whether it came from elsewhere than the pack.
    verifier: Verifier
    pinned: bool


def make_pack(
    header: bytes,
    proof: Proof,
    verifier: Verifier,
    *,
    opened: tuple[bytes, bytes] = (b"", b""),
    witnesses: Sequence[Cosigner] = (),
) -> bytes:
    """Write a pack. *opened* is the body as it is stored, and the halves of its key.

    Without them it proves that the record is there, and no more.

    Raises:
        Unsound: it would not stand its own check.
    """
    pack = Pack(
        format=FORMAT,
        header=header.decode(),
        body=encode64(opened[0]),
        halves=encode64(opened[1]),
        proof=proof.text(),
        verifier=str(verifier),
        witnesses=tuple(str(one) for one in witnesses),
    )
    raw = msgspec.json.format(msgspec.json.encode(pack)) + b"\n"
    check_pack(raw, verifier=verifier, witnesses=witnesses)
    return raw


def check_pack(
    raw: bytes, *, verifier: Verifier | None = None, witnesses: Sequence[Cosigner] = ()
) -> Shown:
    """Check everything about a pack, and open what it shows.

    Without *verifier* the pack's own keys are believed, and so it shows only that the pack agrees
    with itself; `Shown.pinned` says so. With it, only *witnesses* count, and none that the pack
    names itself.

    Raises:
        Unsound: something about it is not as it must be.
    """
    pack = _read(raw)
    known = Verifier.parse(pack.verifier)
    if verifier is not None and not _is_log_of(known, verifier):
        raise Unsound(f"this pack is of another ledger, or another key: {pack.verifier[:200]}")
    text = pack.header.encode()
    try:
        read_header(text)
    except Unsound as exc:
        raise Unsound(f"the header of this pack {exc}") from None
    header = msgspec.json.decode(text, type=dict[str, str | int])
    proof = parse_proof(pack.proof)
    named = [Cosigner.parse(one) for one in pack.witnesses]
    cosigners = witnesses if verifier or witnesses else named
    point, witnessed = check_proof(proof, leaf_hash(text), known, cosigners)
    return Shown(
        header=header,
        content=_content(pack, header, known.name),
        index=proof.index,
        checkpoint=point,
        witnessed=witnessed,
        verifier=known,
        pinned=verifier is not None,
    )


def _is_log_of(log: Verifier, ledger: Verifier) -> bool:
    """Say whether *log* is the ledger's first log, or a later one under the same key."""
    before, _, number = log.name.rpartition("/")
    later = before == ledger.name and number.isascii() and number.isdigit() and int(number) > 1
    return log.key == ledger.key and (log.name == ledger.name or later)


def _read(raw: bytes) -> Pack:
    try:
        pack = msgspec.json.decode(raw, type=Pack)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unsound("this file is not a disclosure pack") from None
    json.loads(raw, object_pairs_hook=_once)
    if pack.format != FORMAT:
        raise Unsound(f"this pack is in a form that is not known here: {pack.format[:50]!r}")
    return pack


def _once(pairs: list[tuple[str, object]]) -> None:
    """Refuse what another reader could read in another way."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unsound("this pack says something twice")


def _content(pack: Pack, header: Header, origin: str) -> bytes | None:
    """Check and open the body; None where the pack has none, or does not open it."""
    body, halves = decode64(pack.body), decode64(pack.halves)
    if not body and header["len"]:
        if halves:
            raise Unsound("this pack has the halves of a key, but nothing that they open")
        return None
    digest = encode64(hashlib.sha256(body).digest())
    if len(body) != header["len"] or digest != header["sha256"]:
        raise Unsound("the body in this pack is not the one that was recorded")
    if header["kind"] in PLAIN:
        if halves:
            raise Unsound(f"a {header['kind']} record is not sealed, and has no halves of a key")
        return body
    if not halves:
        return None
    # HMAC takes a shorter key for one that ends in zeros: a half of zeros is none.
    if len(halves) not in {_HALF, 2 * _HALF} or not any(halves[-_HALF:]):
        raise Unsound("the key in this pack is not one half or two of 32 bytes each")
    return open_body(origin, header, body, halves)
