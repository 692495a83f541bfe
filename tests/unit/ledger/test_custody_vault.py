"""One pair of vault and share always opens, and what was destroyed opens with none."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import CannotOpen, ConfigError, LedgerError, UsageError
from bridge.ledger import vault as vaults
from bridge.ledger.keys import Custodian
from bridge.ledger.vault import create, open_vault, seal_vault
from bridge.records import safe as files
from bridge.records.safe import Safe, make_safe, open_safe
from bridge.secret import write_secret
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64, encode64
from tests.making import custodian

PASSPHRASE, DEPUTYS = "correct horse battery staple", "quite another phrase"
SHARE = b"s" * 32
VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch less: what is tested here is not how long guessing takes."""
    monkeypatch.setattr(vaults, "_MEMORY_KIB", 64)


def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "vault", folder / "stick" / "share"


def made(folder: Path) -> Safe:
    return make_safe(*pair(folder), custodian("psd", months=1), PASSPHRASE, who="Ann")


def copy_of(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name(folder.name + "-copy")))


def test_a_vault_keeps_all_that_a_custodian_has() -> None:
    one = custodian("psd", months=1)
    one.holds["ab" * 16] = b"h" * 32
    again = open_vault(seal_vault(create(one, PASSPHRASE, who="Ann"), SHARE), PASSPHRASE, SHARE)
    assert again.who == "Ann"
    assert again.custodian.__dict__ == one.__dict__


def test_a_vault_of_the_first_format_opens_and_becomes_the_second(tmp_path: Path) -> None:
    vaults._MEMORY_KIB = 65_536
    for name in ("vault", "share"):
        text = (VECTORS / f"ledger-v1.{name}").read_text(encoding="utf-8").strip()
        write_secret(tmp_path / name, text)
    passphrase = (VECTORS / "ledger-v1.passphrase").read_text(encoding="utf-8").strip()
    first = open_safe(tmp_path / "vault", tmp_path / "share", passphrase)
    assert b"bluelamp vault 1" in (tmp_path / "vault").read_bytes()
    first.save()
    assert b"bluelamp vault 2" in (tmp_path / "vault").read_bytes()
    again = open_safe(tmp_path / "vault", tmp_path / "share", passphrase)
    assert again.custodian.seeds == first.custodian.seeds
    assert again.custodian.identity == first.custodian.identity


def test_a_passphrase_is_the_same_however_its_letters_were_composed() -> None:
    composed, apart = (unicodedata.normalize(form, "Käsekuchen mit Öl") for form in ("NFC", "NFD"))
    assert composed != apart
    raw = seal_vault(create(custodian("psd", months=1), composed, who="Ann"), SHARE)
    assert open_vault(raw, apart, SHARE).who == "Ann"


def test_a_vault_tells_whoever_has_no_share_nothing_not_even_whose_it_is() -> None:
    raw = seal_vault(create(custodian("standards", months=1), PASSPHRASE, who="Ann Other"), SHARE)
    outside = msgspec.json.decode(raw, type=dict[str, str])
    assert set(outside) == {"format", "salt", "nonce", "sealed"}
    for hidden in (b"Ann Other", b"standards", b"social"):
        assert hidden not in raw
        assert hidden not in decode64(outside["sealed"])


def test_each_officer_opens_with_their_own_passphrase() -> None:
    vault = create(custodian("psd", months=1), PASSPHRASE, who="Ann").with_slot("Bo", DEPUTYS)
    raw = seal_vault(vault, SHARE)
    assert open_vault(raw, PASSPHRASE, SHARE).who == "Ann"
    assert open_vault(raw, DEPUTYS, SHARE).who == "Bo"
    assert open_vault(raw, DEPUTYS, SHARE).custodian.seeds == vault.custodian.seeds


def test_a_fresh_root_and_share_need_nobody_elses_passphrase_and_close_old_copies(
    tmp_path: Path,
) -> None:
    first = made(tmp_path / "a")
    both = replace(first, vault=first.vault.with_slot("Bo", DEPUTYS)).save()
    old_vault, old_share = both.vault_file.read_bytes(), both.share
    fresh = open_safe(*pair(tmp_path / "a"), DEPUTYS).change()
    assert open_safe(*pair(tmp_path / "a"), PASSPHRASE).vault.who == "Ann"
    for passphrase in (PASSPHRASE, DEPUTYS):
        with pytest.raises(CannotOpen):
            open_vault(old_vault, passphrase, fresh.share)
        with pytest.raises(CannotOpen):
            open_vault(fresh.vault_file.read_bytes(), passphrase, old_share)
    assert fresh.vault.root != both.vault.root


def test_the_old_root_with_the_new_share_opens_nothing() -> None:
    """Somebody who once had everything, and has since seen the new share."""
    vault = create(custodian("psd", months=1), PASSPHRASE, who="Ann")
    new = vault.with_fresh_root()
    outside = msgspec.json.decode(seal_vault(new, SHARE), type=vaults._Outside)
    middle = vaults._middle(outside, SHARE)
    for root, opens in ((vault.root, False), (new.root, True)):
        key = HKDF(hashes.SHA256(), 32, decode64(outside.salt), FORMAT + b"/vault/root").derive(
            root + SHARE
        )
        try:
            AESGCM(key).decrypt(
                decode64(middle.nonce), decode64(middle.sealed), vaults._bound(middle.slots)
            )
        except InvalidTag:
            assert not opens
        else:
            assert opens


def test_an_officer_who_was_removed_opens_the_vault_no_longer(tmp_path: Path) -> None:
    first = made(tmp_path)
    both = replace(first, vault=first.vault.with_slot("Bo", DEPUTYS)).save()
    replace(both, vault=both.vault.without_slot("Bo")).change()
    assert open_safe(*pair(tmp_path), PASSPHRASE).vault.who == "Ann"
    with pytest.raises(CannotOpen, match="the passphrase is wrong"):
        open_safe(*pair(tmp_path), DEPUTYS)


def test_slots_are_named_once_have_own_passphrases_and_one_is_left() -> None:
    vault = create(custodian("psd", months=1), PASSPHRASE, who="Ann")
    with pytest.raises(UsageError, match="has a slot in this vault already"):
        vault.with_slot("Ann", DEPUTYS)
    with pytest.raises(UsageError, match="another officer's"):
        vault.with_slot("Bo", PASSPHRASE)
    with pytest.raises(UsageError, match="the only officer"):
        vault.without_slot("Ann")
    with pytest.raises(UsageError, match="these have: Ann"):
        vault.without_slot("Cy")


def test_nobody_slips_in_a_slot_of_their_own() -> None:
    """Not even somebody who has the share, and so can write the outer layer anew."""
    vault = create(custodian("psd", months=1), PASSPHRASE, who="Ann")
    outside = msgspec.json.decode(seal_vault(vault, SHARE), type=vaults._Outside)
    middle = vaults._middle(outside, SHARE)
    theirs = create(custodian("x", months=1), DEPUTYS, who="Eve").slots[0]
    forged = msgspec.structs.replace(
        middle, slots=(*middle.slots, theirs), roots=(*middle.roots, middle.roots[0])
    )
    salt, nonce = decode64(outside.salt), decode64(outside.nonce)
    sealed = AESGCM(vaults._share_key(SHARE, salt)).encrypt(
        nonce, msgspec.json.encode(forged), b"bluelamp vault 2"
    )
    raw = msgspec.json.encode(msgspec.structs.replace(outside, sealed=encode64(sealed)))
    with pytest.raises(CannotOpen, match="somebody has changed it"):
        open_vault(raw, PASSPHRASE, SHARE)


def test_any_damage_to_a_vault_is_one_sentence() -> None:
    raw = seal_vault(create(custodian("psd", months=1), PASSPHRASE, who="Ann"), SHARE)
    for at in range(0, len(raw), 97):
        broken = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(LedgerError) as refused:
            open_vault(broken, PASSPHRASE, SHARE)
        assert len(str(refused.value)) < 160
        assert "\n" not in str(refused.value)
    for cut in (0, 1, len(raw) // 2, len(raw) - 1):
        with pytest.raises(LedgerError):
            open_vault(raw[:cut], PASSPHRASE, SHARE)


@pytest.mark.parametrize("text", ["AAAA", "not base64", encode64(bytes(31)), encode64(bytes(33))])
def test_a_share_that_is_none_says_so(tmp_path: Path, text: str) -> None:
    one = made(tmp_path)
    write_secret(one.share_file, text)
    with pytest.raises(ConfigError, match="not a share file, or it is damaged"):
        open_safe(*pair(tmp_path), PASSPHRASE)


def test_two_commands_do_not_overwrite_each_others_change(tmp_path: Path) -> None:
    made(tmp_path)
    first, second = (open_safe(*pair(tmp_path), PASSPHRASE) for _ in range(2))
    first.change()
    for late in (second.save, second.change):
        with pytest.raises(UsageError, match="run this one again"):
            late()
    assert open_safe(*pair(tmp_path), PASSPHRASE).custodian.seeds == first.custodian.seeds


# Killed between any two steps


class Killer:
    """Kills the process at the n-th call that changes something on the disk."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted


def killed(act: Callable[[], object], at: int) -> bool:
    """Run *act* in a process of its own that dies at its n-th change; say whether it did."""
    child = os.fork()
    if child == 0:
        killer = Killer(at)
        for owner, name in ((os, "fsync"), (os, "replace"), (os, "open"), (Path, "unlink"),
                            (files, "_overwrite"), (files, "_write")):  # fmt: skip
            setattr(owner, name, killer.wrap(getattr(owner, name)))
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_between_any_two_steps_of_a_change_either_the_old_or_the_new_pair_opens(
    tmp_path: Path,
) -> None:
    outcomes, at = [], 1
    while True:
        folder = tmp_path / str(at)
        before = made(folder)
        kept = copy_of(folder)
        one = Custodian("psd", before.custodian.identity, dict(before.custodian.seeds))
        del one.seeds["social-2026-11"]
        lesser = replace(before, vault=replace(before.vault, custodian=one))
        died = killed(lesser.change, at)
        after = open_safe(*pair(folder), PASSPHRASE)
        new = "social-2026-11" not in after.custodian.seeds
        outcomes.append(new)
        left = {path.name for path in folder.rglob("*") if path.is_file()}
        assert left == {"vault", "share"}
        if new:  # and then the old is gone: neither old file opens with what is here
            old_vault = (kept / "vault").read_bytes()
            with pytest.raises(CannotOpen):
                open_vault(old_vault, PASSPHRASE, after.share)
            assert before.share != after.share
        if not died:
            break
        at += 1
    assert at > 12
    assert outcomes == sorted(outcomes)  # first always the old, from one step on always the new
    assert outcomes[0] is False
    assert outcomes.count(True) > 4


def test_killed_in_the_middle_of_a_save_the_vault_opens(tmp_path: Path) -> None:
    at = 1
    while True:
        folder = tmp_path / str(at)
        died = killed(made(folder).save, at)
        assert open_safe(*pair(folder), PASSPHRASE).vault.who == "Ann"
        assert {path.name for path in folder.rglob("*") if path.is_file()} == {"vault", "share"}
        if not died:
            break
        at += 1
    assert at > 4


def test_killed_a_second_time_while_carrying_on_it_still_opens(tmp_path: Path) -> None:
    deaths = 0
    for first in range(8, 15):
        for second in range(1, 9):
            folder = tmp_path / f"{first}-{second}"
            one = made(folder)
            if not killed(one.change, first):
                continue
            deaths += killed(lambda f=folder: open_safe(*pair(f), PASSPHRASE), second)  # type: ignore[misc]
            assert open_safe(*pair(folder), PASSPHRASE).custodian.seeds == one.custodian.seeds
    assert deaths > 10


def test_a_change_that_was_interrupted_is_not_carried_on_with_another_share(tmp_path: Path) -> None:
    at = 1
    while not (tmp_path / str(at - 1) / "vault.next").exists():
        assert killed(made(tmp_path / str(at)).change, at)
        at += 1
    folder = tmp_path / str(at - 1)
    write_secret(tmp_path / "other.share", encode64(secrets.token_bytes(32)))
    with pytest.raises(CannotOpen, match="is not the share that it was begun with"):
        open_safe(folder / "vault", tmp_path / "other.share", PASSPHRASE)
    assert open_safe(*pair(folder), PASSPHRASE).vault.who == "Ann"


def test_the_old_share_and_vault_are_overwritten_before_their_names_are_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(tmp_path)
    old = {path: path.read_bytes() for path in pair(tmp_path)}
    handles = {path: path.open("rb") for path in pair(tmp_path)}  # the old inodes
    one.change()
    for path, handle in handles.items():
        left = handle.read()
        handle.close()
        assert len(left) == len(old[path])
        assert left != old[path]
        assert old[path][:16] not in left
