"""The drill: a force loses its host, and goes on from its backup."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest

from bridge.config import load_config, load_identity, load_policies
from bridge.facts import Noted
from bridge.running import app
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from tests.unit.ledger.place import BUCKET, Place, go_on


def lose_and_restore(place: Place, after: Path) -> Path:
    """Take a backup, go on, lose everything but the anchor and the key; return the new config."""
    backup = place.folder / "monday.tar"
    assert place.run("backup", "create", str(backup)) == 0
    go_on(place.config, "written after the backup")
    newest = (place.folder / "anchor" / "checkpoint").read_text()
    assert place.run("backup", "restore", str(backup), "--into", str(after)) == 0
    (after / "newest").write_text(newest)
    (after / "token").write_text("t")
    (after / "token").chmod(0o600)
    (after / "state").mkdir()
    return after / "config.yaml"


def test_a_host_that_was_lost_goes_on_from_its_backup_and_says_what_is_missing(
    place: Place, tmp_path: Path
) -> None:
    config = lose_and_restore(place, tmp_path / "new")
    state = tmp_path / "new" / "state"
    shutil.copy(place.folder / "state" / "ledger.key", state / "ledger.key")
    new = Place(config.parent, place.keeper, place.say)
    assert new.run("ledger", "verify") in {0, 2}
    arguments = ("--checkpoint", str(tmp_path / "new" / "newest"), "--reason", "the host burnt")
    assert new.run("ledger", "recover", *arguments) == 0
    said = place.say()
    assert "are lost, and that is on record" in said
    go_on(config, "and on")
    assert new.run("ledger", "verify") in {0, 2}
    assert "the host burnt" in place.say()


def test_without_its_key_a_ledger_goes_on_under_a_new_one(place: Place, tmp_path: Path) -> None:
    config = lose_and_restore(place, tmp_path / "new")
    new = Place(config.parent, place.keeper, place.say)
    arguments = ("--checkpoint", str(tmp_path / "new" / "newest"), "--reason", "the host burnt")
    assert new.run("ledger", "recover", *arguments, "--new-key") == 0
    go_on(config, "and on")
    assert new.run("ledger", "verify") in {0, 2}


def test_a_backup_holds_no_secret(place: Place) -> None:
    backup = place.folder / "monday.tar"
    assert place.run("backup", "create", str(backup)) == 0
    key = (place.folder / "state" / "ledger.key").read_bytes().strip()
    assert key not in backup.read_bytes()
    with tarfile.open(backup) as archive:
        names = set(archive.getnames())
    assert {"config.yaml", "people.csv", "psd.json", "ledger/ledger.db"} <= names
    secrets = {name for name in names if "state" in name or "token" in name}
    assert not {name for name in secrets if not name.startswith("state/policies/")}


def test_a_backup_is_nobody_elses_to_read_and_has_nothing_to_look_for_people_with(
    place: Place, tmp_path: Path
) -> None:
    backup = tmp_path / "monday.tar"
    db = sqlite3.connect(place.folder / "ledger" / "ledger.db")
    keys = [key for (key,) in db.execute("SELECT key FROM tag_key")]
    db.close()
    assert keys
    before = os.umask(0)
    try:
        assert place.run("backup", "create", str(backup)) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    raw = backup.read_bytes()
    assert not [key for key in keys if key in raw]


def test_a_restored_ledger_goes_on_without_the_tag_keys_that_it_had(
    place: Place, tmp_path: Path
) -> None:
    backup = tmp_path / "monday.tar"
    assert place.run("backup", "create", str(backup)) == 0
    assert place.run("backup", "restore", str(backup), "--into", str(tmp_path / "new")) == 0
    for name in ("token", "state/ledger.key"):
        (tmp_path / "new" / name).parent.mkdir(exist_ok=True)
        shutil.copy(place.folder / name, tmp_path / "new" / name)
    new = Place(tmp_path / "new", place.keeper, place.say)
    go_on(new.config, "nothing was lost")
    assert new.run("ledger", "verify") in {0, 2}
    assert new.run("retention", "due") == 1
    assert BUCKET in place.say()


def test_a_backup_of_a_ledger_that_is_being_written_to_verifies(
    place: Place, tmp_path: Path
) -> None:
    loaded = load_config(place.config)

    async def both() -> None:
        identity = load_identity(loaded, load_policies(loaded.policies, clock=None))
        store = SqliteStore(loaded.ledger, identity, app.now, anchor=loaded.anchor)
        try:
            for number in range(20):
                await store.append([Noted(text=f"n{number}")])
            code = await asyncio.to_thread(
                place.run, "backup", "create", str(tmp_path / "live.tar")
            )
            assert code == 0
            await store.append([Noted(text="later")])
        finally:
            await store.close()

    asyncio.run(both())
    assert place.run("backup", "restore", str(tmp_path / "live.tar"), "--into",
                     str(tmp_path / "new")) == 0  # fmt: skip
    reader = SqliteReader(tmp_path / "new" / "ledger" / "ledger.db")
    try:
        assert len(list(reader.rows())) == reader.size()
    finally:
        reader.close()


def test_nothing_is_overwritten(place: Place, tmp_path: Path) -> None:
    backup = tmp_path / "monday.tar"
    assert place.run("backup", "create", str(backup)) == 0
    assert place.run("backup", "create", str(backup)) == 3
    assert place.run("backup", "restore", str(backup), "--into", str(place.folder)) == 3
    assert "is not empty" in place.say()


def change(backup: Path, name: str) -> None:
    """Change one byte of a file in the archive."""
    raw = bytearray(backup.read_bytes())
    with tarfile.open(backup) as archive:
        at = archive.getmember(name).offset_data
    raw[at] ^= 1
    backup.write_bytes(raw)


def test_a_damaged_backup_is_refused_by_the_name_of_what_is_damaged(
    place: Place, tmp_path: Path
) -> None:
    backup = tmp_path / "monday.tar"
    assert place.run("backup", "create", str(backup)) == 0
    change(backup, "people.csv")
    assert place.run("backup", "restore", str(backup), "--into", str(tmp_path / "new")) == 3
    assert "'people.csv' is damaged" in place.say()


@pytest.mark.parametrize("raw", [b"", b"not a tar", b"\0" * 10240])
def test_what_is_no_backup_is_refused(place: Place, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(raw)
    code = place.run("backup", "restore", str(tmp_path / "x.tar"), "--into", str(tmp_path / "new"))
    assert code == 3
    assert "x.tar" in place.say()


def test_a_backup_cannot_write_outside_its_folder(place: Place, tmp_path: Path) -> None:
    backup = tmp_path / "evil.tar"
    with tarfile.open(backup, "w") as archive:
        evil = tmp_path / "evil"
        evil.write_text("x")
        archive.add(evil, "../../evil")
        manifest = tmp_path / "m"
        files = {"../../evil": "0" * 64}
        manifest.write_text(json.dumps(
            {"format": "bluelamp backup 1", "made": 1, "origin": "o", "files": files}
        ))  # fmt: skip
        archive.add(manifest, "MANIFEST.json")
    code = place.run("backup", "restore", str(backup), "--into", str(tmp_path / "a" / "new"))
    assert code == 3
    assert "outside the folder" in place.say()


def test_there_is_nothing_to_recover_where_nothing_was_lost(place: Place) -> None:
    assert place.run("ledger", "recover", "--reason", "just in case") == 3
    assert "Nothing is lost" in place.say()
    assert place.run("ledger", "recover", "--reason", " ") == 3
    assert place.run("ledger", "recover", "--reason", "x", "--new-key") == 3


def test_another_key_than_the_one_that_is_pinned_writes_nothing(place: Place) -> None:
    key = place.folder / "state" / "ledger.key"
    key.write_text("A" * 43 + "=\n")
    size = len(place.bodies())
    assert place.run("case", "add", "PS/1", "--title", "x") == 3
    assert "is not the key that" in place.say()
    assert len(place.bodies()) == size
