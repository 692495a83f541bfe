"""Holds the voices that wait for the next model to what the corpus asks of every voice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.policy.corpus import Label
from corpus.check import disputes, others, problems, renew
from corpus.rows import HERE, read
from training.data import ordinary

NEXT = HERE / "next"


@pytest.mark.slow
def test_the_waiting_voices_can_join_the_corpus_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__", "next"))
    before = read(folder)
    for part in ("messages", "voices"):
        shutil.copytree(NEXT / part, folder / part, dirs_exist_ok=True)
    for part in ("second_labels.jsonl", "disputed.jsonl"):
        with (folder / part).open("a", encoding="utf-8") as file:
            file.write((NEXT / part).read_text("utf-8"))
    renew(read(folder), folder)
    corpus = read(folder)
    waiting = [one for one in corpus.said if one.voice not in before.cards]
    assert len(waiting) == len(corpus.said) - len(before.said) == 10_415
    assert {one.label for one in waiting} == set(Label)
    assert [*problems(corpus, others()), *disputes(corpus, folder)] == []
    # Nobody who has a half is moved.
    assert all(corpus.halves[voice] is half for voice, half in before.halves.items())


def test_the_waiting_voices_are_in_neither_half_yet() -> None:
    corpus = read()
    waiting = {path.stem for path in (NEXT / "voices").glob("*.yaml")}
    assert waiting
    assert not waiting & corpus.halves.keys()


def test_the_ordinary_messages_that_wait_are_not_there_twice() -> None:
    waiting = (NEXT / "ordinary.txt").read_text("utf-8").splitlines()
    assert len({one.casefold() for one in waiting}) == len(waiting) > 2_000
    assert not {one.casefold() for one in waiting} & {one.text.casefold() for one in ordinary()}
