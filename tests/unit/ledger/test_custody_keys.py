"""The custodians' commands: what they show and refuse, and that they leave nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer

from bridge.acting.texts import card
from bridge.cli.main import cli
from bridge.config import load_policies
from bridge.errors import ConfigError
from bridge.ledger.keys import Bundle
from bridge.model import RoomClass
from bridge.policy import ClassPolicy
from bridge.running import app
from bridge.secret import write_secret
from bridge.verify.notes import encode64
from tests.unit.ledger.custody import BUCKET, JUNE, Force, copied, found, quick, reopened

__all__ = ["quick"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Force:
    force = found(tmp_path_factory.mktemp("made"), "psd", reviewers=True)
    force.run("ledger", "request", "--scope", "kind:message", "--purpose", "x", "-o",
              force.path("request.json"))  # fmt: skip
    force.run("retention", "due", "-o", force.path("due.json"))
    return force


@pytest.fixture
def force(made: Force, tmp_path: Path) -> Force:
    return copied(made, tmp_path)


def files(force: Force) -> dict[str, bytes]:
    """Everything that lies there."""
    here = sorted(force.folder.rglob("*"))
    return {str(path): path.read_bytes() for path in here if path.is_file()}


def test_the_list_shows_what_there_is_and_what_is_due_and_no_secret(
    force: Force, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "now", lambda: JUNE)
    hold = force.hold("kind:message", at=JUNE)
    force.run("retention", "due", "-o", force.path("due.json"))
    force.run("keys", "destroy", BUCKET, "--due", force.path("due.json"), "--yes",
              "--ledger", str(force.config.ledger), "-o", force.path("a.json"),
              *force.keys("psd"))  # fmt: skip
    capsys.readouterr()
    assert force.run("keys", "list", *force.keys("psd")) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert "destroyed" in rows[BUCKET]
    assert "due to be destroyed" in rows["operational-2024-01"]
    assert "01 Feb 2024" in rows["social-2024-02"]
    assert "29 Feb 2024" in rows["social-2024-02"]
    assert f"hold/{hold}" in rows
    current = next(name for name in rows if name.startswith("social") and "2024" not in name)
    assert "due" not in rows[current]
    custodian = reopened(force, "psd").custodian
    for secret in (*custodian.holds.values(), *(seed for _, seed in custodian.seeds.values())):
        assert encode64(secret) not in shown
        assert secret.hex() not in shown


def test_a_drill_proves_each_officer_and_every_key_and_is_written_down(
    force: Force, capsys: Captured
) -> None:
    assert force.run("keys", "drill", *force.keys("psd")) == 2
    assert "more than one officer's key should open a role's vault" in capsys.readouterr().err
    add = ["--who", "Deputy", "--deputy-passphrase-file", force.path("Deputy.passphrase")]
    assert force.run("keys", "deputy", *add, *force.keys("psd")) == 0
    capsys.readouterr()
    assert force.run("keys", "drill", *force.keys("psd")) == 2
    captured = capsys.readouterr()
    assert "Not proved today: Deputy" in captured.err
    count = len(reopened(force, "psd").custodian.seeds)
    assert f"{count} keys seal and unseal. Opened by: psd." in captured.out
    both = [*force.keys("psd"), "--passphrase-file", force.path("Deputy.passphrase")]
    assert force.run("keys", "drill", *both) == 0
    log = force.vault("psd").with_name("vault.drills").read_text().splitlines()
    assert len(log) == 3
    assert log[-1].endswith(f" Deputy, psd opened the vault; {count} keys work")
    assert log[-1][:2] == "20"


def test_a_drill_finds_a_key_that_does_not_fit_its_certificate(
    force: Force, capsys: Captured
) -> None:
    safe = reopened(force, "psd")
    signed, _ = safe.custodian.seeds[BUCKET]
    safe.custodian.seeds[BUCKET] = signed, b"x" * 32
    safe.save()
    assert force.run("keys", "drill", *force.keys("psd")) == 1
    assert "was not sealed to psd's key of social-2024-01" in capsys.readouterr().err
    assert not force.vault("psd").with_name("vault.drills").exists()


def test_a_deputy_needs_a_passphrase_that_is_long_enough_and_nobody_elses(
    force: Force, capsys: Captured
) -> None:
    write_secret(force.folder / "short", "elevenchars")
    before = force.vault("psd").read_bytes()
    for file, why in (("short", "at least 12 characters"), ("psd.passphrase", "another officer's")):
        add = ["--who", "Deputy", "--deputy-passphrase-file", force.path(file)]
        assert force.run("keys", "deputy", *add, *force.keys("psd")) == 3
        assert why in capsys.readouterr().err
    for arguments in ([], ["--who", "A", "--remove", "B"], ["--remove", "Nobody"]):
        assert force.run("keys", "deputy", *arguments, *force.keys("psd")) == 3
    assert force.vault("psd").read_bytes() == before


def test_issuing_more_keys_keeps_the_officers_and_what_was_destroyed_stays_destroyed(
    force: Force,
) -> None:
    add = ["--who", "Deputy", "--deputy-passphrase-file", force.path("Deputy.passphrase")]
    force.run("keys", "deputy", *add, *force.keys("psd"))
    code = force.run("keys", "issue", "--months", "4", "--certificates", force.path("new.json"),
                     *force.keys("psd"))  # fmt: skip
    assert code == 0
    assert [slot.who for slot in reopened(force, "psd", who="Deputy").vault.slots] == [
        "psd", "Deputy"
    ]  # fmt: skip
    bundle = msgspec.json.decode(Path(force.path("new.json")).read_bytes(), type=Bundle)
    assert len(bundle.certificates) == len(reopened(force, "psd").custodian.seeds)


def test_certificates_can_be_written_again(force: Force) -> None:
    path = force.path("again.json")
    assert force.run("keys", "export-certificates", "-o", path, *force.keys("psd")) == 0
    bundle = msgspec.json.decode(Path(path).read_bytes(), type=Bundle)
    assert (bundle.custodian, bundle.identity) == (
        "psd", encode64(force.config.custodians[0].identity)
    )  # fmt: skip


def test_a_new_custodian_and_new_reviewers_are_printed_as_the_configuration_wants_them(
    force: Force, capsys: Captured
) -> None:
    for name, first, more in (("ian", "custodians:\n  - name: ian", []),
                              ("eyes", "reviewers:\n  name: eyes", ["--reviewers"])):  # fmt: skip
        write_secret(force.folder / f"{name}.passphrase", "long enough, this one")
        code = force.run("keys", "init", "--name", name, "--months", "1", "--certificates",
                         force.path(f"{name}.json"), *force.keys(name), *more)  # fmt: skip
        assert code == 0
        assert first in capsys.readouterr().out
        assert force.run("keys", "init", "--name", name, "--certificates", force.path("x"),
                         *force.keys(name)) == 3  # fmt: skip
        assert "never overwrites a key" in capsys.readouterr().err


# What goes wrong: one sentence, a code, nothing half written

COMMANDS = (
    ["keys", "list"],
    ["keys", "drill"],
    ["keys", "deputy", "--remove", "psd"],
    ["keys", "issue", "--certificates", "{}/new.json"],
    ["keys", "export-certificates", "-o", "{}/new.json"],
    ["keys", "destroy", BUCKET, "--due", "{}/due.json", "--yes", "-o", "{}/new.json"],
    ["keys", "order-erase", "ab" * 16, "--reason", "r", "-o", "{}/new.json"],
    ["ledger", "open", "--scope", "kind:message", "--purpose", "x"],
    ["ledger", "release", "{}/request.json", "--yes", "-o", "{}/new.json"],
)


def _wrong_passphrase(force: Force) -> None:
    write_secret(force.folder / "psd.passphrase", "not the passphrase of anybody")


def _wrong_share(force: Force) -> None:
    write_secret(force.share("psd"), encode64(b"x" * 32))


def _no_share(force: Force) -> None:
    force.share("psd").unlink()


def _no_vault(force: Force) -> None:
    force.vault("psd").unlink()


def _readable_share(force: Force) -> None:
    force.share("psd").chmod(0o644)


def _damaged_vault(force: Force) -> None:
    raw = bytearray(force.vault("psd").read_bytes())
    raw[len(raw) // 2] ^= 1
    force.vault("psd").write_bytes(raw)


def _empty_vault(force: Force) -> None:
    force.vault("psd").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "why", "exits"),
    [
        (_wrong_passphrase, "the passphrase is wrong", 1),
        (_wrong_share, "the share file does not belong", 1),
        (_no_share, "the share cannot be read", 3),
        (_no_vault, "the vault cannot be read", 3),
        (_readable_share, "others may read the share", 3),
        (_damaged_vault, "damaged", 1),
        (_empty_vault, "not a custodian's vault", 1),
    ],
)
def test_a_vault_that_does_not_open_is_one_sentence_and_changes_nothing(
    force: Force, capsys: Captured, spoil: Callable[[Force], None], why: str, exits: int
) -> None:
    spoil(force)
    before = files(force)
    capsys.readouterr()
    for arguments in COMMANDS:
        spelt = [word.format(force.folder) for word in arguments]
        assert force.run(*spelt, *force.keys("psd")) == exits
        captured = capsys.readouterr()
        assert why in captured.err
        assert len(captured.err.strip().splitlines()) == 1
        assert captured.out == ""
    assert files(force) == before


def test_without_a_certificate_for_now_no_look_is_recorded_and_none_is_taken(
    force: Force, capsys: Captured
) -> None:
    path = force.folder / "psd.certificates.json"
    bundle = msgspec.json.decode(path.read_bytes(), type=Bundle)
    old = tuple(one for one in bundle.certificates if "-2024-" in one.certificate)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(bundle, certificates=old)))
    code = force.run("ledger", "open", "--scope", "kind:message", "--purpose", "x",
                     *force.keys("psd"))  # fmt: skip
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, "")
    assert "There is no key of psd for the records of system-" in captured.err
    path.unlink()
    code = force.run("ledger", "open", "--scope", "kind:message", "--purpose", "x",
                     *force.keys("psd"))  # fmt: skip
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, "")
    assert "certificates of custodian psd cannot be read" in captured.err


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "not a file of"), ("{}", "not a file of"), ("[1]", "not a file of"), ("\xff", "not a")],
)
def test_a_file_that_is_none_is_named(force: Force, capsys: Captured, text: str, why: str) -> None:
    file = force.folder / "some.json"
    file.write_text(text, encoding="latin-1")
    keys = force.keys("psd")
    for arguments in (
        ["keys", "destroy", BUCKET, "--due", str(file), "-o", force.path("new"), "--yes", *keys],
        ["ledger", "release", str(file), "-o", force.path("new"), "--yes", *keys],
        ["ledger", "open", "--release", str(file), *keys],
    ):
        assert force.run(*arguments) in {1, 3}
        assert why in capsys.readouterr().err
    assert not Path(force.path("new")).exists()


def test_a_custodian_of_another_ledger_destroys_and_releases_nothing_here(
    force: Force, capsys: Captured
) -> None:
    keys = force.keys("reviewers")
    release = ["ledger", "release", force.path("request.json"), "-o", force.path("new"), "--yes"]
    erase = ["keys", "order-erase", "ab" * 16, "--reason", "r", "-o", force.path("new")]
    assert force.run(*release, *keys) == 3
    assert "is not sealed to this vault's reviewers" in capsys.readouterr().err
    assert force.run(*erase, *keys) == 3
    assert "is not sealed to this vault's reviewers" in capsys.readouterr().err
    assert not Path(force.path("new")).exists()


# Reviewers in the configuration


def test_the_configuration_names_reviewers_and_the_bot_asks_for_their_certificates(
    force: Force,
) -> None:
    config = force.config
    assert config.reviewers is not None
    assert config.reviewers.name == "reviewers"
    assert app.check(config).identity.reviewers is not None
    (force.folder / "reviewers.certificates.json").unlink()
    with pytest.raises(ConfigError, match="certificates of the reviewers reviewers cannot be read"):
        app.check(config)


def test_reviewers_are_no_custodian_under_another_name(force: Force, capsys: Captured) -> None:
    path = force.folder / "config.yaml"
    text = path.read_text()
    custodian = text[text.index("  - name: psd") : text.index("reviewers:")]
    same = custodian.replace("  - name", "  name").replace("    ", "  ")
    path.write_text(text[: text.index("reviewers:")] + "reviewers:\n" + same)
    assert force.run("ledger", "unexamined") == 3
    assert "a vault of their own" in capsys.readouterr().err


def test_the_rooms_card_says_when_there_are_reviewers(force: Force) -> None:
    policy = load_policies(force.config.policies, clock=None)
    here: ClassPolicy = policy.classes[RoomClass.SOCIAL]
    plain = card(here, secure="Secure", contact="the desk")
    told = card(here, secure="Secure", contact="the desk", reviewers=True)
    assert "reviewers, without the custodians" in told
    assert "without the custodians" not in plain


def test_passphrases_are_never_arguments() -> None:
    groups = list(typer.main.get_command(cli).commands.values())  # type: ignore[attr-defined]
    options = [
        option
        for group in groups
        for command in getattr(group, "commands", {"": group}).values()
        for parameter in command.params
        for option in parameter.opts
        if "passphrase" in option
    ]
    assert len(options) > 8
    assert all(option.endswith("-file") for option in options)
