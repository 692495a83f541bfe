"""Ledgers with more life than `forging.play` gives: disposals, witnesses, several logs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.facts import Disposed, Erased, Held, Noted, Released
from bridge.ledger.keys import Custodian
from bridge.ledger.record import new_rid
from bridge.model import Rid
from bridge.store.memory import MemoryStore
from bridge.verify.notes import Checkpoint, Cosigner, Verifier, cosign, encode64
from bridge.verify.papers import (
    OVERHEAD,
    Attestation,
    EraseBody,
    Order,
    Paper,
    Previous,
    ShredBody,
    Wrap,
    signed_bytes,
)
from bridge.verify.report import Row
from bridge.verify.tree import leaf_hash, root_of
from tests.making import ORIGIN, Hands, custodian, identity
from tests.unit.ledger.forging import KEY, VERIFIER, Ledger, decode, encode, of_memory, play

PSD = custodian(months=6)
PINNED = {"psd": PSD.public}
BUCKET = "social-2026-11"
DAY = 86_400_000
W1, W2 = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"1", b"2"))
WITNESSES = tuple(
    Cosigner(f"witness.example/{n}", key.public_key().public_bytes_raw())
    for n, key in enumerate((W1, W2), 1)
)


def sign(paper: Attestation | Order, by: bytes = PSD.identity) -> Paper:
    text = encode(paper).decode()
    key = Ed25519PrivateKey.from_private_bytes(by)
    signature = key.sign(signed_bytes(type(paper).__name__.lower(), text))
    return Paper(text=text, signature=encode64(signature))


def shred_body(attestation: Attestation, by: bytes = PSD.identity) -> bytes:
    return encode(ShredBody(attestation=sign(attestation, by)))


def erase_body(*orders: Order, by: bytes = PSD.identity) -> bytes:
    return encode(EraseBody(orders=tuple(sign(one, by) for one in orders)))


def order_for(rid: str, name: str = "psd") -> Order:
    return Order(custodian=name, origin=ORIGIN, rid=rid, ordered=1, reason="a court said so")


def note_at(store: MemoryStore, origin: str = ORIGIN) -> str:
    leaves = [leaf_hash(one.header) for one in store.records]
    return Checkpoint(origin, len(leaves), root_of(leaves)).sign(KEY)


def rid_of(store: MemoryStore, kind: str, bucket: str) -> Rid:
    headers = (decode(one.header) for one in store.records)
    return next(
        Rid(str(h["rid"])) for h in headers if (h["kind"], h.get("bucket")) == (kind, bucket)
    )


async def _dispose(store: MemoryStore, clock: Hands) -> None:
    await play(store, clock, notes=5)
    clock.move(120 * DAY)
    await store.append([Noted(text="a custodian is about to look")])
    clock.move(60_000)
    kept, over = new_rid(), new_rid()
    for rid in (kept, over):
        held = Held(rid=rid, scope="room:x", case="", reason="a complaint", by="sgt")
        await store.append([held])
    await store.append([Released(hold=over, reason="settled", by="sgt")])
    clock.move(60_000)
    held_record = rid_of(store, "message", BUCKET)
    attestation = Attestation(
        custodian="psd",
        origin=ORIGIN,
        checkpoint=note_at(store),
        bucket=BUCKET,
        destroyed=clock(),
        holds=(Wrap(hold=kept, records=(held_record,), sealed=encode64(bytes(OVERHEAD + 32))),),
    )
    erased = rid_of(store, "message", "operational-2026-11")
    await store.append(
        [
            Disposed(
                bucket=BUCKET,
                custodian="psd",
                attestation=shred_body(attestation),
                kept=((kept, (held_record,)),),
            ),
            Erased(record=erased, orders=erase_body(order_for(erased))),
            Noted(text="the end"),
        ]
    )
    await store.checkpoint()


def disposed(*, deleted: bool) -> Ledger:
    """A ledger with a shred, a hold, a hold that is over and an erasure; *deleted* or not yet."""
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    asyncio.run(_dispose(store, clock))
    ledger = of_memory(store, identities=PINNED, now=clock())
    if deleted:
        return ledger
    bodies = (Row(seq, record.header, record.body) for seq, record in enumerate(store.records))
    return replace(ledger, rows=tuple(bodies))


def witnessed() -> Ledger:
    """A ledger whose every checkpoint two witnesses have signed."""
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    asyncio.run(play(store, clock, notes=5))
    ledger = of_memory(store, identities=PINNED, now=clock(), witnesses=WITNESSES)
    return cosigned_at(ledger, [at for _, at, _ in store.notes])


def cosigned_at(ledger: Ledger, times: list[int]) -> Ledger:
    """Have both witnesses sign each checkpoint at these *times*, ms."""
    notes = []
    for (size, note), at in zip(ledger.checkpoints, times, strict=True):
        text = note.partition("\n\n")[0] + "\n"
        lines = (
            cosign(key, one.name, text, at // 1000)
            for key, one in zip((W1, W2), WITNESSES, strict=True)
        )
        notes.append((size, note + "".join(lines)))
    return replace(ledger, checkpoints=tuple(notes))


def next_log(
    before: Ledger, custodian: Custodian = PSD, *, previous: Previous | None = None
) -> Ledger:
    """The log after *before*, as its genesis says."""
    previous = previous or Previous(checkpoint=before.signed(len(before.rows)))
    origin = f"{ORIGIN}/2"
    clock = Hands(before.now)
    store = MemoryStore(identity(custodian).renamed(origin, previous), clock)
    asyncio.run(play(store, clock, notes=5))
    verifier = Verifier(origin, VERIFIER.key)
    return of_memory(store, identities=PINNED, now=clock(), verifier=verifier)


def first_log() -> Ledger:
    clock = Hands()
    store = MemoryStore(identity(PSD), clock)
    asyncio.run(play(store, clock, notes=5))
    return of_memory(store, identities=PINNED, now=clock())


def genesis_of(ledger: Ledger) -> dict[str, object]:
    return msgspec.json.decode(ledger.rows[0].body or b"", type=dict[str, object])
