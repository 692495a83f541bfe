"""The cross-signing seeds at rest: locked, their passphrase elsewhere, nothing lost on the way."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from bridge.config import load_config
from bridge.errors import ConfigError
from bridge.matrix.seeds import USES, Vault, public
from bridge.secret import write_secret
from bridge.verify.notes import encode64


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.of(tmp_path / "state", tmp_path / "secrets" / "identity.passphrase")


def in_the_clear(vault: Vault) -> tuple[Path, dict[str, bytes]]:
    """Write seeds as an older version kept them."""
    seeds = {use: bytes([number]) * 32 for number, use in enumerate(USES, 1)}
    plain = vault.path.with_name("identity.json")
    stored = {use: base64.b64encode(seed).decode() for use, seed in seeds.items()}
    write_secret(plain, json.dumps(stored))
    return plain, seeds


def test_what_is_locked_opens_and_says_whose_it_is_without_the_passphrase(vault: Vault) -> None:
    assert vault.master() is None
    seeds = vault.make()
    assert vault.open() == seeds
    vault.passphrase.unlink()
    assert vault.master() == public(seeds["master"])


def test_no_seed_stands_in_the_file_and_nobody_else_may_read_it(vault: Vault) -> None:
    seeds = vault.make()
    raw = vault.path.read_bytes()
    for seed in seeds.values():
        assert seed not in raw
        assert base64.b64encode(seed).rstrip(b"=") not in raw
    for path in (vault.path, vault.passphrase):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_passphrase_lies_in_another_folder_unless_said_otherwise(tmp_path: Path) -> None:
    vault = Vault.of(tmp_path / "state", None)
    assert not vault.passphrase.is_relative_to(vault.path.parent)


def test_a_passphrase_of_the_forces_own_is_used_and_never_replaced(vault: Vault) -> None:
    write_secret(vault.passphrase, "correct horse battery staple")
    seeds = vault.make()
    assert vault.passphrase.read_text(encoding="utf-8") == "correct horse battery staple"
    assert vault.open() == seeds


def test_another_passphrase_does_not_open_it_and_the_message_names_both_files(vault: Vault) -> None:
    vault.make()
    write_secret(vault.passphrase, "another")
    with pytest.raises(ConfigError, match="does not open") as wrong:
        vault.open()
    assert str(vault.passphrase) in str(wrong.value)
    assert str(vault.path) in str(wrong.value)


def test_without_its_passphrase_it_says_to_put_it_back(vault: Vault) -> None:
    vault.make()
    vault.passphrase.unlink()
    with pytest.raises(ConfigError, match="Put it back"):
        vault.open()
    assert not vault.passphrase.exists()


@pytest.mark.parametrize("part", ["master", "salt", "nonce", "sealed"])
def test_a_changed_part_does_not_open(vault: Vault, part: str) -> None:
    """The name of the identity is in the clear, but cannot be another's."""
    seeds = vault.make()
    file = json.loads(vault.path.read_text(encoding="utf-8"))
    file[part] = public(seeds["user_signing"]) if part == "master" else f"AAAA{file[part][4:]}"
    write_secret(vault.path, json.dumps(file))
    with pytest.raises(ConfigError, match="does not open"):
        vault.open()


@pytest.mark.parametrize("text", ["x", "{}", '{"master": "x"}'])
def test_what_is_no_vault_is_named(vault: Vault, text: str) -> None:
    write_secret(vault.path, text)
    with pytest.raises(ConfigError, match="not an identity's vault"):
        vault.master()


def test_a_vault_of_another_format_is_refused(vault: Vault) -> None:
    vault.make()
    text = vault.path.read_text(encoding="utf-8")
    write_secret(vault.path, text.replace("bluelamp identity 1", "bluelamp identity 2"))
    with pytest.raises(ConfigError, match="unknown here"):
        vault.open()


def test_an_identity_in_the_clear_is_locked_up_once_and_the_log_says_so(
    vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, seeds = in_the_clear(vault)
    for _ in range(2):
        vault.take_over()
        assert not plain.exists()
        assert vault.open() == seeds
    assert capsys.readouterr().out.count("identity.locked") == 1


def test_killed_between_locking_and_removing_it_goes_on_at_the_next_start(vault: Vault) -> None:
    plain, seeds = in_the_clear(vault)
    text = plain.read_text(encoding="utf-8")
    vault.take_over()
    write_secret(plain, text)
    vault.take_over()
    assert not plain.exists()
    assert vault.open() == seeds


def test_of_two_identities_neither_is_thrown_away(vault: Vault) -> None:
    made = vault.make()
    plain, _ = in_the_clear(vault)
    with pytest.raises(ConfigError, match="another identity"):
        vault.take_over()
    assert plain.exists()
    assert vault.open() == made


@pytest.mark.parametrize("text", ["x", "{}", '{"master": 5}', '{"master": "*"}'])
def test_a_damaged_identity_in_the_clear_is_left_alone(vault: Vault, text: str) -> None:
    plain, _ = in_the_clear(vault)
    write_secret(plain, text)
    with pytest.raises(ConfigError, match="damaged"):
        vault.take_over()
    assert plain.exists()
    assert not vault.path.exists()


def test_where_no_passphrase_can_be_written_the_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    vault = Vault.of(tmp_path / "state", tmp_path / "file" / "passphrase")
    with pytest.raises(ConfigError, match="identity_passphrase_file"):
        vault.make()
    assert not vault.path.exists()


CONFIG = """\
homeserver:
  url: https://matrix.force.example
  user: "@bluelamp:force.example"
  password_file: secrets/bot.password
{line}force: {{name: Exampleshire, contact: the desk}}
{state}custodians:
  - {{name: psd, identity: {identity}, certificates: psd.json}}
"""


def config(folder: Path, line: str = "", state: str = "") -> Path:
    identity = encode64(b"i" * 32)
    text = CONFIG.format(
        line=line and f"  {line}\n", state=state and f"{state}\n", identity=identity
    )
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


def test_the_passphrase_has_a_place_of_its_own_unless_the_configuration_names_one(
    tmp_path: Path,
) -> None:
    named = "identity_passphrase_file: /run/credentials/bluelamp/identity"
    assert load_config(config(tmp_path, named)).identity_passphrase == Path(named.split(": ")[1])
    loaded = load_config(config(tmp_path))
    assert loaded.identity_passphrase == tmp_path / "secrets" / "identity.passphrase"
    assert not loaded.identity_passphrase.is_relative_to(loaded.state)


@pytest.mark.parametrize(
    ("line", "state", "at"),
    [
        ("identity_passphrase_file: state/identity.passphrase", "", 5),
        ("identity_passphrase_file: secrets/../state/deep/er", "", 5),
        ("", "state: secrets", 2),
    ],
)
def test_a_passphrase_beside_what_it_locks_is_refused_with_its_line(
    tmp_path: Path, line: str, state: str, at: int
) -> None:
    with pytest.raises(ConfigError, match="beside what it locks") as wrong:
        load_config(config(tmp_path, line, state))
    assert wrong.value.line == at
