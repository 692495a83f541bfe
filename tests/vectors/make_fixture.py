"""Makes the ledger that must verify for ever: python -m tests.vectors.make_fixture FOLDER.

It was run once, for format version 1; the files beside this script are what it made then. Do not
run it over them: a new format gets new files beside the old, and the old must go on verifying.

* ledger-v1.db           29 records of November 2026: all kinds but media, state, event and view
* ledger-v1.checkpoint   the anchor: the newest checkpoint
* ledger-v1.verifier     the ledger's public key (a vkey of the signed-note format)
* ledger-v1.key          its private key (Ed25519 seed, base64), so that it can be continued
* ledger-v1.vault, .share, .passphrase   the custodian "psd", who can open it
* ledger-v1.identity     psd's public identity (Ed25519, base64), as a configuration pins it

The file is then packed into pages of 1 KiB and taken out of WAL mode, to be small and to be
readable where nothing may be written; neither touches a record.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import sys
from pathlib import Path

from bridge.ledger.vault import SHARE_BYTES, lock
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import encode64
from tests.making import Hands, custodian, identity
from tests.unit.ledger.forging import KEY, VERIFIER, play

PASSPHRASE = "a vault for tests that holds nothing"


async def _fill(path: Path, anchor: Path) -> None:
    clock = Hands()
    store = SqliteStore(path, identity(PSD), clock, anchor=anchor)
    await play(store, clock, notes=3)
    await store.close()


def _pack(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA page_size = 1024")
    db.execute("VACUUM")
    db.close()
    path.with_suffix(".lock").unlink()


def main(folder: Path) -> None:
    share = secrets.token_bytes(SHARE_BYTES)
    asyncio.run(_fill(folder / "ledger-v1.db", folder / "ledger-v1.checkpoint"))
    _pack(folder / "ledger-v1.db")
    (folder / "ledger-v1.db").chmod(0o644)
    for name, text in {
        "verifier": str(VERIFIER),
        "key": encode64(KEY.private_bytes_raw()),
        "vault": lock(PSD, PASSPHRASE, share).decode(),
        "share": encode64(share),
        "passphrase": PASSPHRASE,
        "identity": encode64(PSD.public),
    }.items():
        (folder / f"ledger-v1.{name}").write_text(f"{text}\n", encoding="utf-8")


PSD = custodian()

if __name__ == "__main__":
    main(Path(sys.argv[1]))
