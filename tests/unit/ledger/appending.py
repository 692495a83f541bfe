"""A process that appends until it is killed: python -m tests.unit.ledger.appending FOLDER.

Prints the number of notes that the store has acknowledged, after each acknowledgement. With a
second argument, no file may grow beyond so many bytes: the disk is full.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import StoreError
from bridge.facts import Noted
from bridge.ledger.keys import Bundle, Certificates
from bridge.model import Cursor
from bridge.store.book import Identity
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import decode64
from tests.making import ORIGIN, RETENTION, Hands


def identity_in(folder: Path) -> Identity:
    bundle = msgspec.json.decode((folder / "bundle.json").read_bytes(), type=Bundle)
    pinned = {bundle.custodian: decode64(bundle.identity)}
    return Identity(
        origin=ORIGIN,
        key=Ed25519PrivateKey.from_private_bytes(b"k" * 32),
        certificates=Certificates([bundle], pinned=pinned),
        custodians=pinned,
        retention=RETENTION,
    )


def open_in(folder: Path) -> SqliteStore:
    return SqliteStore(
        folder / "ledger.db", identity_in(folder), Hands(), anchor=folder / "checkpoint"
    )


async def run(store: SqliteStore) -> None:
    done = int(await store.cursor() or 0)
    while True:
        facts = [Noted(text=f"n{done + n}") for n in range(1 + done % 7)]
        done += len(facts)
        await store.append(facts, cursor=Cursor(str(done)))
        print(done, flush=True)
        if done % 5 == 0:
            await store.checkpoint()


async def until_full(store: SqliteStore) -> None:
    try:
        await run(store)
    except StoreError as exc:
        print(f"refused: {exc}", flush=True)
    for what in (store.append([Noted(text="more")]), store.checkpoint(), store.head(),
                 store.cursor(), store.owed()):  # fmt: skip
        try:
            await what
        except StoreError:
            print("refused again", flush=True)
    await store.close()


def main() -> None:
    folder = Path(sys.argv[1])
    store = open_in(folder)
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        asyncio.run(until_full(store))
    else:
        asyncio.run(run(store))


if __name__ == "__main__":
    main()
