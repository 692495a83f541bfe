"""What goes wrong at the edges: one clear sentence each (what, where, what to do), and a code."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.demo.force import BOT
from bridge.matrix.api import Api, quote
from bridge.secret import write_secret
from tests.acceptance.test_guarding import until
from tests.acceptance.town import Town, plate

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def bluelamp(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bridge", "-c", str(folder / "config.yaml"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def copy(town: Town, tmp_path: Path) -> Path:
    """The force's files, without the bot's own state, to spoil as we like."""
    for name in ("config.yaml", "rooms.yaml", "rooms.lock.yaml", "people.csv", "policies",
                 "secrets", "psd.certificates.json"):  # fmt: skip
        source = town.stage.config.path.with_name(name)
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


async def test_without_a_homeserver_it_says_where_it_looked(copy: Path, town: Town) -> None:
    spoil(copy / "config.yaml", town.stage.homeserver.url, "http://127.0.0.1:9")
    code, said = await bluelamp(copy, "run")
    assert code == 4
    # The copy has a ledger of its own, whose key the witness does not know: that is a warning.
    assert said.splitlines()[-1] == (
        "No homeserver answers at http://127.0.0.1:9: is it running, and is homeserver.url right?"
    )


async def test_a_wrong_password_names_its_file(copy: Path) -> None:
    write_secret(copy / "secrets" / "bot.password", "not it")
    code, said = await bluelamp(copy, "run")
    assert code == 3
    assert "does not accept the password in" in said
    assert str(copy / "secrets" / "bot.password") in said
    assert "not it" not in said


async def test_an_expired_token_names_its_file_and_what_to_put_there(copy: Path) -> None:
    spoil(copy / "config.yaml", "password_file: secrets/bot.password", "token_file: secrets/token")
    write_secret(copy / "secrets" / "token", "syt_expired")
    code, said = await bluelamp(copy, "run")
    assert code == 3
    assert "it has expired or was withdrawn" in said
    assert "Put a fresh token" in said
    assert "syt_expired" not in said


async def test_a_password_that_others_may_read_is_refused(copy: Path) -> None:
    (copy / "secrets" / "bot.password").chmod(0o644)
    code, said = await bluelamp(copy, "run")
    assert code == 3
    assert "chmod 600" in said


async def test_an_unknown_key_in_the_configuration_is_named_with_its_line(copy: Path) -> None:
    spoil(copy / "config.yaml", "force:\n", "force:\n  colour: blue\n")
    code, said = await bluelamp(copy, "check")
    assert code == 3
    assert "config.yaml:7: unknown key 'colour'" in said


async def test_a_missing_configuration_is_one_sentence(tmp_path: Path) -> None:
    code, said = await bluelamp(tmp_path, "run")
    assert code == 3
    assert "there is no configuration here; name one with -c" in said


async def test_a_policy_with_a_bad_pattern_is_named_with_file_and_line(copy: Path) -> None:
    rules = sorted((copy / "policies" / "rules").glob("*.yaml"))[0]
    (copy / "policies" / "rules" / "bad.yaml").write_text(
        "rules:\n"
        "  - id: bad.one\n    title: A bad one\n    reason: it is bad\n    dpia: DPIA-1\n"
        "    family: bad\n    pattern: '(unclosed'\n    confidence: {base: 50}\n"
        "    tests: {match: [x], no_match: [y]}\n",
        encoding="utf-8",
    )
    code, said = await bluelamp(copy, "check")
    assert rules.exists()
    assert code == 3
    assert "rules/bad.yaml:" in said


async def test_before_the_rooms_are_made_it_says_which_command_makes_them(copy: Path) -> None:
    (copy / "rooms.lock.yaml").unlink()
    code, said = await bluelamp(copy, "run")
    assert code == 3
    assert "run 'bluelamp rooms apply' first" in said


async def test_a_second_bot_on_the_same_store_is_refused(town: Town) -> None:
    code, said = await bluelamp(town.stage.config.path.parent, "run")
    assert code == 4
    assert "Another Blue Lamp is writing to the ledger" in said
    assert "stop that one first" in said


async def test_a_command_that_does_not_exist_is_used_wrongly(tmp_path: Path) -> None:
    code, said = await bluelamp(tmp_path, "frobnicate")
    assert code == 3
    assert "frobnicate" in said


@pytest.mark.slow
async def test_a_room_that_the_bot_cannot_enter_does_not_stop_it_from_serving_the_others(
    town: Town,
) -> None:
    """It says which room, and what to do; the plan shows it, too."""
    gwen = town.gwen
    answer = await gwen.api.call(
        "POST", "/_matrix/client/v3/createRoom", {"name": "Closed", "preset": "private_chat"}
    )
    closed = answer["room_id"]
    folder = town.stage.config.path.parent
    register = folder / "rooms.yaml"
    plain = register.read_text(encoding="utf-8")
    spoil(
        register,
        "  review:\n    class: review\n",
        f'  review:\n    class: review\n    id: "{closed}"\n',
    )
    await town.bot_stops()
    try:
        await town.bot_runs()
        event = await town.asha.say(town.social, f"{plate()} is at the address")
        assert await town.gone(event)

        async def logged() -> bool:
            log = town.stage.bot.log.read_text(encoding="utf-8")
            return '"event": "room.cannot_enter"' in log and "invite the bot there" in log

        assert await until(logged)
        code, said = await bluelamp(folder, "rooms", "plan")
        assert code == 2
        assert "Referrals" in said
    finally:
        await town.bot_stops()
        register.write_text(plain, encoding="utf-8")
        await town.bot_runs()


@pytest.mark.slow
async def test_a_power_level_that_is_too_low_is_referred_to_a_person(town: Town) -> None:
    """In a room that somebody else made, the bot copies, cannot remove, and says so."""
    gwen, server = town.gwen, town.stage.homeserver
    answer = await gwen.api.call(
        "POST",
        "/_matrix/client/v3/createRoom",
        {
            "name": "Made by hand",
            "preset": "private_chat",
            "room_version": "11",
            "invite": [BOT, town.asha.user, town.ben.user],
            "initial_state": [
                {
                    "type": "m.room.encryption",
                    "state_key": "",
                    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
                }
            ],
        },
    )
    room = answer["room_id"]
    folder = town.stage.config.path.parent
    register = folder / "rooms.yaml"
    plain = register.read_text(encoding="utf-8")
    entry = plain[plain.index("  response-a-social:") : plain.index("  response-a-secure:")]
    by_hand = entry.replace("response-a-social:", "by-hand:").replace(
        "name: Response A social", f'name: Made by hand\n    id: "{room}"'
    )
    register.write_text(plain + by_hand, encoding="utf-8")
    config, admin = folder / "config.yaml", "  admin_token_file: secrets/admin.token\n"
    settings = config.read_text(encoding="utf-8")
    await town.bot_stops()
    # With an administrator's token the bot would give itself the power that it lacks.
    spoil(config, admin, "")
    try:
        await town.bot_runs()
        await town.asha.enter(room)
        await town.ben.enter(room)
        words = f"{plate()} is at the address"
        event = await town.asha.say(room, words)
        assert await town.copied(words)
        assert await gwen.until(
            lambda phone: any("it could not be done" in m.body for m in phone.messages.values())
        )
        assert event not in town.ben.phone.removed
        code, said = await bluelamp(folder, "rooms", "plan")
        assert code == 2
        assert "has power level 0 in it and needs 100" in said
        assert server.running
    finally:
        await town.bot_stops()
        register.write_text(plain, encoding="utf-8")
        config.write_text(settings, encoding="utf-8")
        api = Api(town.stage.homeserver.url)
        await api.close()
        await town.bot_runs()
        await gwen.api.call("POST", f"/_matrix/client/v3/rooms/{quote(room)}/leave", {})


async def test_a_lost_crypto_store_is_replaced_by_a_new_device_of_the_same_identity(
    town: Town,
) -> None:
    """Nobody sees an alarm, and the bot hears what is said from then on."""
    folder = town.stage.config.path.parent
    code, said = await bluelamp(folder, "device", "renew")
    assert code == 3
    assert "Stop it first" in said
    await town.bot_stops()
    keys: dict[str, dict[str, list[str]]] = {"device_keys": {BOT: []}}
    before = await town.asha.api.call("POST", "/_matrix/client/v3/keys/query", keys)
    shutil.rmtree(folder / "state" / "crypto")
    code, said = await bluelamp(folder, "device", "renew")
    assert code == 0, said
    after = await town.asha.api.call("POST", "/_matrix/client/v3/keys/query", keys)
    assert before["master_keys"][BOT]["keys"] == after["master_keys"][BOT]["keys"]
    assert len(after["device_keys"][BOT]) == len(before["device_keys"][BOT]) + 1
    await town.bot_runs()
    words = f"{plate()} at the address, to a new device"
    event = await town.asha.say(town.social, words)
    assert await town.gone(event)
    assert await town.copied(words)
