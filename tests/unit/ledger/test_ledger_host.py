"""Nothing on the bot's host opens what was sealed in an epoch that has ended."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import msgspec
import pytest

from bridge.facts import Noted
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import encode64
from tests.making import Hands, custodian, identity
from tests.unit.ledger.forging import KEY, WORDS, play

PSD, IM = custodian("psd"), custodian("im")
SECRETS = (PSD.identity, IM.identity, *(seed for c in (PSD, IM) for _, seed in c.seeds.values()))


def spellings(text: str) -> set[bytes]:
    raw = text.encode()
    # Wherever in a longer text it begins: the letters of base64 that depend on it alone.
    letters = (base64.b64encode(b"\0" * n + raw)[4 * (n > 0) : -4] for n in range(3))
    return {
        raw,
        raw.hex().encode(),
        text.encode("utf-16-le"),
        msgspec.json.encode(text),
        *(one for one in letters if len(one) >= 8),  # fewer would turn up by chance
    }


class Host:
    """All that lies on the host's disks, and what the process remembers of its epochs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Hands()
        self.secrets: set[bytes] = set()
        (folder / "ledger.key").write_text(encode64(KEY.private_bytes_raw()), encoding="utf-8")
        for one in (PSD, IM):
            raw = msgspec.json.encode(one.bundle())
            (folder / f"{one.name}.certificates").write_bytes(raw)

    def disk(self) -> bytes:
        return b"".join(file.read_bytes() for file in sorted(self.folder.iterdir()))

    async def run(self) -> bytes:
        """Play, copy the disks while the store is open (with its -wal), and close."""
        store = SqliteStore(
            self.folder / "ledger.db", identity(PSD, IM), self.clock, anchor=self.folder / "cp"
        )
        sealer = store._book._sealer
        begin = sealer._begin

        def watched(*args: object) -> object:
            epoch = begin(*args)  # type: ignore[arg-type]
            self.secrets.update(epoch.secrets)
            return epoch

        sealer._begin = watched  # type: ignore[method-assign,assignment]
        await play(store, self.clock, notes=20)
        assert (self.folder / "ledger.db-wal").exists()
        open_disk = self.disk()
        self.clock.move(15 * 60_000)
        await store.append([Noted(text="a quarter of an hour later")])
        remembered = {one for epoch in sealer._epochs.values() for one in epoch.secrets}
        assert len(remembered) == 2 < len(self.secrets)
        await store.close()
        return open_disk


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, set[bytes]]:
    host = Host(tmp_path_factory.mktemp("host"))
    opened = asyncio.run(host.run())
    return opened, host.disk(), host.secrets


def test_the_search_would_find_what_is_there(seen: tuple[bytes, bytes, set[bytes]]) -> None:
    for disk in seen[:2]:
        assert b"force.example/bluelamp" in disk
        assert encode64(KEY.private_bytes_raw()).encode() in disk
        assert encode64(PSD.public).encode() in disk
    for shift in range(3):
        hidden = base64.b64encode(b"x" * shift + WORDS[0].encode() + b"yyy")
        assert any(one in hidden for one in spellings(WORDS[0]))


@pytest.mark.parametrize(
    "text", [*WORDS, "AB12 CDE", "Acacia", "note 7", "the server gave no more"]
)
def test_no_word_of_any_content_is_on_the_disks(
    seen: tuple[bytes, bytes, set[bytes]], text: str
) -> None:
    for disk in seen[:2]:
        assert not [one for one in spellings(text) if one in disk]


def test_no_secret_of_an_epoch_or_custodian_is_on_the_disks(
    seen: tuple[bytes, bytes, set[bytes]],
) -> None:
    opened, closed, secrets = seen
    assert len(secrets) >= 10
    for secret in (*secrets, *SECRETS):
        for disk in (opened, closed):
            assert secret not in disk
            assert encode64(secret).encode() not in disk
            assert secret.hex().encode() not in disk
