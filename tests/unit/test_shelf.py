"""Copies of policies: whole, by their digest, and never believed when they were changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.policy.load import revision_of
from bridge.running.shelf import Shelf, read_files, stamp_of

FILES = {"classes.yaml": b"a: 1\n", "rules/a.yaml": b"b: 2\n"}


def test_what_was_kept_comes_back_byte_for_byte(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "policies")
    revision = shelf.keep(FILES)
    assert revision == revision_of(FILES)
    assert shelf.get(revision) == FILES
    assert shelf.keep(FILES) == revision
    assert [one.name for one in (tmp_path / "policies").iterdir()] == [revision]


def test_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    revision = shelf.keep(FILES)
    (tmp_path / revision / "rules" / "a.yaml").write_bytes(b"b: 3\n")
    with pytest.raises(ConfigError, match="this copy was changed"):
        shelf.get(revision)


def test_a_copy_that_another_version_made_is_known_by_that_versions_name(tmp_path: Path) -> None:
    """Blue Lamp's engine is part of the digest; an upgrade does not undo what people approved."""
    shelf = Shelf(tmp_path)
    made = revision_of(FILES, "0")
    (tmp_path / shelf.keep(FILES)).rename(tmp_path / made)
    (tmp_path / made / "ENGINE").write_text("0", encoding="utf-8")
    assert shelf.get(made) == FILES


def test_twelve_digits_name_a_copy_and_fewer_do_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    revision = shelf.keep(FILES)
    assert shelf.find(revision[:12]) == revision
    assert shelf.find(revision[:11]) is None
    assert shelf.find("0" * 12) is None
    assert Shelf(tmp_path / "none").find(revision) is None


def test_a_disk_that_does_not_take_it_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="no copy of the policy can be kept"):
        Shelf(tmp_path / "file").keep(FILES)


def test_a_folder_is_read_without_hidden_files_and_its_stamp_shows_changes(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".classes.yaml").write_bytes(b"x")
    assert read_files(tmp_path) == FILES
    before = stamp_of(tmp_path)
    (tmp_path / "rules" / "a.yaml").write_bytes(b"b: 22\n")
    assert stamp_of(tmp_path) != before
    with pytest.raises(ConfigError, match="no policy files"):
        read_files(tmp_path / "nowhere")
