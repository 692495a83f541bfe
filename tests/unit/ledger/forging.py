"""A ledger in the hands of whoever owns its host: take it, change it, make it add up again."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.facts import Braked, Decided, Fact, Missed, Noted, Performed, PolicyLoaded, Seen
from bridge.model import (
    Action,
    Copy,
    Cursor,
    Gap,
    Kind,
    Ms,
    Outcome,
    Redact,
    RoomClass,
    Status,
    Verdict,
    key,
)
from bridge.ports import Store
from bridge.store.memory import MemoryStore
from bridge.store.reader import SqliteReader
from bridge.verify.headers import Header
from bridge.verify.notes import Checkpoint, Cosigner, Verifier, encode64
from bridge.verify.steps import Evidence, Report, Row, verify
from bridge.verify.tree import Frontier, Tiler, leaf_hash, root_of
from tests.making import NOON, ORIGIN, SECURE, SOCIAL, Hands, say

#: The key of the ledgers that `tests.making.identity` makes.
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
VERIFIER = Verifier(ORIGIN, KEY.public_key().public_bytes_raw())
MOVE = Verdict(action=Action.REDIRECT, rule="veh.vrm", reason="a registration", revision="r1")
CLEAN = Verdict(action=Action.ALLOW, rule=None, reason="", revision="r1")
#: Words that only messages contain.
WORDS = ("who brings milk", "AB12 CDE is on the drive", "forty-two Acacia Avenue", "wife of PC 99")

encode = msgspec.json.Encoder(order="deterministic").encode


def dice(seed: int) -> random.Random:
    """Chance that falls the same way in every run."""
    return random.Random(seed)  # noqa: S311 - nothing is secret about which bit is flipped


def spoilt(raw: bytes) -> bytes:
    """Change the last byte: whatever it was, it is another one."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def decode(header: bytes) -> Header:
    return msgspec.json.decode(header, type=dict[str, str | int])


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Everything of a ledger that verify looks at."""

    rows: tuple[Row, ...]
    tiles: Mapping[tuple[int, int], bytes]
    checkpoints: tuple[tuple[int, str], ...]
    edge: tuple[int, bytes, bytes]
    outside: tuple[tuple[str, str], ...] = ()
    identities: Mapping[str, bytes] = field(default_factory=dict)
    verifier: Verifier | None = VERIFIER
    now: Ms = NOON
    witnesses: tuple[Cosigner, ...] = ()
    enough: int = 1
    anchors: tuple[tuple[str, str], ...] = ()
    previous: str | None = None
    previous_verifier: Verifier | None = None

    def verified(self, by: Callable[[tuple[Row, ...], Evidence], Report] = verify) -> Report:
        return by(self.rows, self.evidence)

    @property
    def evidence(self) -> Evidence:
        names = [one.name for one in fields(self) if one.name != "rows"]
        return Evidence(**{name: getattr(self, name) for name in names})

    def header(self, at: int) -> Header:
        return decode(self.rows[at].header)

    def find(self, kind: str, **fields: str) -> int:
        """The place of the first record of *kind* with these header *fields*."""
        return next(
            at
            for at in range(len(self.rows))
            if (header := self.header(at))["kind"] == kind
            and all(header.get(name) == value for name, value in fields.items())
        )

    def with_row(self, at: int, header: Header | bytes, body: bytes | None = None) -> Ledger:
        """Replace a record; a given *body* is measured and hashed into the header."""
        row = self.rows[at]
        raw = _complete(header, body)
        fresh = Row(row.seq, raw, row.body if body is None else body)
        return replace(self, rows=(*self.rows[:at], fresh, *self.rows[at + 1 :]))

    def with_fields(self, at: int, **fields: str | int) -> Ledger:
        return self.with_row(at, {**self.header(at), **fields})

    def with_more(self, header: Header | bytes, body: bytes) -> Ledger:
        last = self.rows[-1].seq + 1
        return replace(self, rows=(*self.rows, Row(last, _complete(header, None), body)))

    def without(self, at: int, *, renumber: bool = True) -> Ledger:
        left = self.rows[:at] + self.rows[at + 1 :]
        rows = (Row(seq if renumber else row.seq, row.header, row.body)
                for seq, row in enumerate(left))  # fmt: skip
        return replace(self, rows=tuple(rows))

    def add_up(self, *, signed_by: Ed25519PrivateKey = KEY) -> Ledger:
        """Compute everything again that follows from the records, as the host could."""
        tree, tiler = Frontier(), Tiler()
        tiles: dict[tuple[int, int], bytes] = {}
        for row in self.rows:
            tree.append(leaf_hash(row.header))
            tiles |= {(t.level, t.index): t.hashes for t in tiler.append(leaf_hash(row.header))}
        sizes = sorted({min(size, tree.size) for size, _ in self.checkpoints})
        return replace(
            self,
            tiles=tiles,
            edge=(tree.size, b"".join(tree.peaks), tiler.edges),
            checkpoints=tuple((size, self.signed(size, signed_by)) for size in sizes),
        )

    def signed(self, size: int, by: Ed25519PrivateKey = KEY) -> str:
        leaves = [leaf_hash(row.header) for row in self.rows[:size]]
        origin = self.verifier.name if self.verifier else ORIGIN
        return Checkpoint(origin, size, root_of(leaves)).sign(by)

    def kept_elsewhere(self, size: int | None = None) -> Ledger:
        """Have a witness hold the checkpoint of now."""
        note = self.signed(len(self.rows) if size is None else size)
        return replace(self, outside=(("a witness", note),))


def _complete(header: Header | bytes, body: bytes | None) -> bytes:
    if isinstance(header, bytes):
        return header
    if body is not None:
        digest = encode64(hashlib.sha256(body).digest())
        header = {**header, "len": len(body), "sha256": digest}
    return encode(header)


def of_memory(store: MemoryStore, **more: object) -> Ledger:
    whole = Ledger(
        rows=tuple(store.rows()),
        tiles={(t.level, t.index): t.hashes for t in store.tiles},
        checkpoints=tuple((size, note) for size, _, note in store.notes),
        edge=store.edge(),
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def of_file(path: Path, **more: object) -> Ledger:
    reader = SqliteReader(path)
    try:
        reader.snapshot()
        whole = Ledger(
            rows=tuple(reader.rows()),
            tiles=reader.tiles(),
            checkpoints=tuple(reader.checkpoints()),
            edge=reader.edge(),
        )
    finally:
        reader.close()
    return replace(whole, **more)  # type: ignore[arg-type]


def moved(event: str, text: str, at: Ms) -> list[Fact]:
    message = say(event, text, at=at)
    copy = Copy(room=SOCIAL, about=message.event_id, to=SECURE, reason="a registration")
    redact = Redact(room=SOCIAL, about=message.event_id, reason="Moved")
    return [
        Seen(message=message, cls=RoomClass.SOCIAL),
        Decided(message=message, cls=RoomClass.SOCIAL, verdict=MOVE, owes=(copy, redact)),
    ]


async def play(store: Store, clock: Hands, *, notes: int = 250) -> None:
    """An hour of a ledger's life: every kind of fact but a look, checkpoints, several epochs."""
    await store.append([PolicyLoaded(revision="r1", files=(("a.yaml", "00"),))])
    await store.append(
        [Seen(message=say("$a", WORDS[0], at=clock()), cls=RoomClass.SOCIAL, clean=CLEAN)],
        cursor=Cursor("s1"),
    )
    await store.checkpoint()
    clock.move(5_000)
    await store.append(moved("$b", WORDS[1], clock()), cursor=Cursor("s2"))
    for debt in await store.owed():
        clock.move(200)
        outcome = Outcome(key=key(debt.effect), status=Status.DONE, detail="$sent")
        await store.append([Performed(outcome=outcome)])
    dark = say("$u", WORDS[2], kind=Kind.UNREADABLE, at=clock())
    await store.append([Seen(message=dark, cls=RoomClass.SOCIAL)])
    clock.move(16 * 60_000)
    late = say("$u", WORDS[2], late=True, at=clock())
    await store.append([Seen(message=late, cls=RoomClass.SOCIAL, clean=CLEAN)])
    await store.checkpoint()
    edit = say("$e", WORDS[3], replaces="$a", at=clock())
    joined = say("$m", "", kind=Kind.MEMBERSHIP, at=clock())
    at_home = say("$o", WORDS[3], room=SECURE, at=clock())
    await store.append(
        [
            Seen(message=edit, cls=RoomClass.SOCIAL, clean=CLEAN),
            Seen(message=joined, cls=RoomClass.SOCIAL),
            Seen(message=at_home, cls=RoomClass.OPERATIONAL),
            Missed(gap=Gap(room=SOCIAL, reason="the server gave no more")),
            Braked(room=SOCIAL, on=True, by="sgt", reason="too many"),
            Braked(room=SOCIAL, on=False, by="sgt", reason="fine"),
        ]
    )
    await store.append([Noted(text=f"note {n}") for n in range(notes)])
    clock.move(60_000)
    await store.append([Noted(text="the end")])
    await store.checkpoint()
