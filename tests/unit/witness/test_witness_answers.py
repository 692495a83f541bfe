"""The witness's every answer, as https://c2sp.org/tlog-witness has them."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import ConfigError, StoreLocked
from bridge.verify import Unsound
from bridge.verify.notes import Checkpoint, Verifier, cosigned, parse
from bridge.witness.folder import Folder, hashed
from bridge.witness.judge import Judge, Refused
from bridge.witness.server import listening
from bridge.witness.wire import encode
from tests.making import ORIGIN
from tests.unit.witness.history import KEY, LOG, NAME, History

OURS = History(600)
NOW = 1_795_348_800
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)


class Asked:
    """A witness, and somebody who asks it over HTTP."""

    def __init__(self, url: str, judge: Judge, session: aiohttp.ClientSession) -> None:
        self.url, self.judge, self.session = url, judge, session

    async def post(self, body: str | bytes) -> tuple[int, str, str]:
        raw = body.encode() if isinstance(body, str) else body
        async with self.session.post(f"{self.url}/add-checkpoint", data=raw) as got:
            return got.status, await got.text(), got.content_type

    async def add(self, old: int, new: int, history: History = OURS) -> int:
        body = encode(old, history.proof(old, new), history.note(new))
        return (await self.post(body))[0]


def judge_in(folder: Folder, *logs: Verifier) -> Judge:
    return Judge(NAME, folder.key(NAME), logs or [LOG], folder, lambda: NOW)


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    folder = Folder(tmp_path / "w")
    judge = judge_in(folder)
    async with listening(judge, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
        yield Asked(url, judge, session)
    folder.close()


async def test_a_checkpoint_is_cosigned_with_the_time(asked: Asked) -> None:
    note = OURS.note(3)
    status, lines, _ = await asked.post(encode(0, (), note))
    assert status == 200
    assert lines.startswith(f"\N{EM DASH} {NAME} ")
    assert lines.endswith("\n")
    assert cosigned(note + lines, [asked.judge.cosigner]) == {NAME: NOW}


async def test_a_tree_that_grows_is_cosigned_at_each_size(asked: Asked) -> None:
    sizes = [0, 1, 2, 7, 8, 255, 256, 257, 600]
    for old, new in itertools.pairwise(sizes):
        assert await asked.add(old, new) == 200


async def test_the_same_checkpoint_again_is_cosigned_again(asked: Asked) -> None:
    assert await asked.add(0, 5) == 200
    assert await asked.add(5, 5) == 200


async def test_an_empty_tree_is_cosigned_and_then_grows(asked: Asked) -> None:
    assert await asked.add(0, 0) == 200
    assert await asked.add(0, 0) == 200
    assert await asked.add(0, 4) == 200


async def test_whoever_says_another_old_size_is_told_the_size(asked: Asked) -> None:
    assert await asked.add(0, 300) == 200
    for old, new in ((0, 310), (299, 310), (300 - 1, 300), (301, 310)):
        body = encode(old, OURS.proof(old, new), OURS.note(new))
        assert await asked.post(body) == (409, "300\n", "text/x.tlog.size")


async def test_a_smaller_tree_is_never_cosigned_again(asked: Asked) -> None:
    assert await asked.add(0, 300) == 200
    for old, new, answer in ((0, 299, 409), (299, 299, 409), (300, 299, 400)):
        assert (await asked.post(encode(old, (), OURS.note(new))))[0] == answer
    assert await asked.add(300, 301) == 200


async def test_a_split_view_is_never_cosigned(asked: Asked) -> None:
    assert await asked.add(0, 300) == 200
    other = History(600, "other", parts_at=299)
    assert await asked.add(300, 300, other) == 422
    assert await asked.add(300, 301, other) == 422
    assert (await asked.post(encode(300, OURS.proof(300, 301), other.note(301))))[0] == 422
    assert await asked.add(300, 301) == 200


@pytest.mark.parametrize(
    "change",
    [lambda p: p[:-1], lambda p: (*p, p[0]), lambda p: p[::-1], lambda _: (),
     lambda p: (bytes(32), *p[1:])],
    ids=["short", "long", "reversed", "empty", "wrong"],
)  # fmt: skip
async def test_a_wrong_proof_is_refused(asked: Asked, change: object) -> None:
    assert callable(change)
    assert await asked.add(0, 300) == 200
    body = encode(300, change(OURS.proof(300, 555)), OURS.note(555))
    assert (await asked.post(body))[0] == 422
    assert asked.judge.notes().get(ORIGIN) is not None
    assert await asked.add(300, 555) == 200


async def test_a_proof_from_nothing_is_refused(asked: Asked) -> None:
    assert (await asked.post(encode(0, (bytes(32),), OURS.note(3))))[0] == 422


async def test_an_empty_tree_with_a_root_is_refused(asked: Asked) -> None:
    assert (await asked.post(encode(0, (), Checkpoint(ORIGIN, 0, bytes(32)).sign(KEY))))[0] == 422


async def test_a_log_that_is_not_known_is_not_found(asked: Asked) -> None:
    note = Checkpoint("elsewhere.example/log", 3, bytes(32)).sign(KEY)
    assert (await asked.post(encode(0, (), note)))[0] == 404


async def test_whoever_is_not_the_log_is_forbidden(asked: Asked) -> None:
    assert (await asked.post(encode(0, (), OURS.note(3, STRANGER))))[0] == 403
    changed = OURS.note(3).replace("\n3\n", "\n4\n")
    assert (await asked.post(encode(0, (), changed)))[0] == 403


async def test_signatures_of_others_beside_the_logs_are_ignored(asked: Asked) -> None:
    stranger = OURS.note(3, STRANGER).rpartition("\n\n")[2]
    assert (await asked.post(encode(0, (), OURS.note(3) + stranger)))[0] == 200
    kept = asked.judge.notes().get(ORIGIN) or ""
    assert (
        len(kept.rpartition("\n\n")[2].splitlines()) == 3
    )  # same name, another key: the log's to say


async def test_the_later_logs_of_a_ledger_are_known_by_their_name_and_its_key(asked: Asked) -> None:
    second = History(9, "second", origin=f"{ORIGIN}/2")
    assert await asked.add(0, 300) == 200
    assert await asked.add(0, 4, second) == 200
    assert await asked.add(4, 9, second) == 200
    assert (await asked.post(encode(9, (), second.note(9, STRANGER))))[0] == 403
    for name in ("1", "0", "02", "x", "2/2", ""):
        other = History(9, origin=f"{ORIGIN}/{name}")
        assert await asked.add(0, 4, other) == 404, name


async def test_a_log_is_closed_once_a_later_one_of_its_ledger_was_seen(asked: Asked) -> None:
    second, third = (History(9, n, origin=f"{ORIGIN}/{n}") for n in ("2", "10"))
    assert await asked.add(0, 300) == 200
    assert await asked.add(0, 0, second) == 200  # nothing is in it yet
    assert await asked.add(300, 301) == 200
    assert await asked.add(0, 4, second) == 200
    for old in (301, 300):
        assert (await asked.post(encode(old, (), OURS.note(301))))[0] == 422
    assert await asked.add(301, 302) == 422
    assert await asked.add(4, 5, second) == 200
    assert await asked.add(0, 5, third) == 200
    assert await asked.add(5, 6, second) == 422
    assert await asked.add(5, 6, third) == 200


async def test_later_logs_are_remembered_after_a_start(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    second = History(9, origin=f"{ORIGIN}/2")
    judge_in(folder).add(encode(0, (), second.note(9)).encode())
    assert set(judge_in(folder).notes()) == {f"{ORIGIN}/2"}
    with pytest.raises(Refused) as refused:
        judge_in(folder).add(encode(0, (), OURS.note(3)).encode())
    assert refused.value.status == 422
    folder.close()


GOOD = encode(0, (), OURS.note(3))
HASH = base64.b64encode(bytes(32)).decode()
SHORT = base64.b64encode(bytes(31)).decode()
MALFORMED = {
    "nothing": "",
    "no old size": GOOD.removeprefix("old 0\n"),
    "another word": GOOD.replace("old 0", "new 0"),
    "no size": GOOD.replace("old 0", "old"),
    "a negative size": GOOD.replace("old 0", "old -1"),
    "a size with a zero before it": GOOD.replace("old 0", "old 00"),
    "a size with a space": GOOD.replace("old 0", "old 0 "),
    "a size of a thousand digits": GOOD.replace("old 0", "old " + "9" * 1000),
    "an old size that is larger": GOOD.replace("old 0", "old 4"),
    "no blank line": GOOD.replace("\n\n", "\n", 1),
    "no checkpoint": "old 0\n\n",
    "a short hash": GOOD.replace("old 0\n", "old 0\nAAAA\n"),
    "no base64": GOOD.replace("old 0\n", "old 0\n!\n"),
    "64 hashes": GOOD.replace("old 0\n", "old 0\n" + f"{HASH}\n" * 64),
    "no signature": "old 0\n\n" + OURS.point(3).text() + "\n",
    "no last line feed": GOOD.removesuffix("\n"),
    "a root of 31 bytes": GOOD.replace(OURS.note(3).split("\n")[2], SHORT),
    "carriage returns": GOOD.replace("\n", "\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_is_malformed_is_a_bad_request(asked: Asked, what: str) -> None:
    status, said, _ = await asked.post(MALFORMED[what])
    assert status == 400
    assert said.strip()
    assert asked.judge.notes().get(ORIGIN) is None


async def test_bytes_that_are_not_text_are_a_bad_request(asked: Asked) -> None:
    assert (await asked.post(b"old 0\n\xff\n\n" + OURS.note(3).encode()))[0] == 400


async def test_a_request_without_end_is_refused(asked: Asked) -> None:
    assert (await asked.post(b"old 0\n" + b"x" * 1_000_000))[0] == 413


async def test_63_hashes_are_read(asked: Asked) -> None:
    body = GOOD.replace("old 0\n", "old 0\n" + f"{HASH}\n" * 63)
    assert (await asked.post(body))[0] == 422  # read, and then too many for this tree


async def test_monitors_get_the_newest_checkpoint_with_both_signatures(asked: Asked) -> None:
    url = f"{asked.url}/{hashed(ORIGIN)}/checkpoint"
    async with asked.session.get(url) as got:
        assert got.status == 404
    assert await asked.add(0, 3) == 200
    assert await asked.add(3, 9) == 200
    async with asked.session.get(url) as got:
        note = await got.text()
    assert parse(note, LOG) == OURS.point(9)
    assert cosigned(note, [asked.judge.cosigner]) == {NAME: NOW}
    async with asked.session.get(f"{asked.url}/{hashed('elsewhere')}/checkpoint") as got:
        assert got.status == 404


async def test_nothing_is_cosigned_that_could_not_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    judge = judge_in(folder)
    judge.add(encode(0, (), OURS.note(3)).encode())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    async with listening(judge, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
        asked = Asked(url, judge, session)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", full)
            assert await asked.add(3, 5) == 503
        assert await asked.add(3, 5) == 503  # until it starts again, it does not know where it is
    folder.close()
    again = Folder(tmp_path)
    assert judge_in(again).notes().get(ORIGIN) is not None
    again.close()


# Its folder


def test_a_witness_remembers_after_it_was_started_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    judge = judge_in(folder)
    judge.add(encode(0, (), OURS.note(300)).encode())
    folder.close()
    folder = Folder(tmp_path)
    again = judge_in(folder)
    assert again.cosigner == judge.cosigner
    assert again.notes().get(ORIGIN) == judge.notes().get(ORIGIN)
    folder.close()


def test_two_witnesses_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(StoreLocked, match="Another witness"):
        Folder(tmp_path)
    folder.close()


def test_a_key_signs_under_one_name_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.key(NAME)
    with pytest.raises(ConfigError, match="another name"):
        folder.key("witness.force.example/w2")
    folder.close()


def test_a_witness_that_lost_its_key_does_not_begin_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    judge_in(folder).add(encode(0, (), OURS.note(3)).encode())
    (tmp_path / "witness.key").unlink()
    with pytest.raises(ConfigError, match="Put it back"):
        folder.key(NAME)
    folder.close()


@pytest.mark.parametrize(
    "damage", ["", "nonsense", OURS.note(3)], ids=["empty", "words", "unsigned"]
)
def test_a_witness_whose_memory_is_damaged_does_not_begin_again(
    tmp_path: Path, damage: str
) -> None:
    folder = Folder(tmp_path)
    judge_in(folder).add(encode(0, (), OURS.note(5)).encode())
    (tmp_path / f"{hashed(ORIGIN)}.note").write_text(damage, encoding="utf-8")
    with pytest.raises(Unsound):
        judge_in(folder)
    folder.close()


def test_nobody_else_may_read_the_key(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "w")
    folder.key(NAME)
    assert (tmp_path / "w" / "witness.key").stat().st_mode & 0o077 == 0
    folder.close()
