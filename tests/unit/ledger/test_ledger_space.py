"""Room on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.store import space


def test_room_is_set_aside_while_there_is_plenty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    space.set_aside(path, 1 << 16)
    reserve = tmp_path / "ledger.reserve"
    assert reserve.stat().st_size == 1 << 16
    assert reserve.stat().st_blocks * 512 >= 1 << 16  # really there, not only promised


def test_it_is_given_up_when_nothing_else_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    space.set_aside(path, 1 << 16)
    monkeypatch.setattr(space, "free", lambda _: 100)
    space.set_aside(path, 1 << 16)
    assert not (tmp_path / "ledger.reserve").exists()
    space.set_aside(path, 1 << 16)  # and not taken again while there is little
    assert not (tmp_path / "ledger.reserve").exists()


def test_a_file_system_that_cannot_set_aside_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    space.set_aside(tmp_path / "ledger.db", 1 << 16)
    assert not (tmp_path / "ledger.reserve").exists()
