"""docs/explained.md has what the command says of twenty messages, as its script wrote it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "explained.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("explained", TOP / "docs" / "make_explained.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_twenty_messages_are_explained(script: ModuleType) -> None:
    named = re.findall(r"^## (\d+)\. (.+)$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in named] == list(range(1, 21))
    assert [text for _, text in named] == [text for text, _ in script.MESSAGES]


def test_each_has_a_verdict_and_what_the_model_believes(script: ModuleType) -> None:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for part in parts:
        assert re.search(r"in a social room: (allow|nudge|redirect|quarantine)", part), part
        assert re.search(r"believes: operational 0\.\d{3}, of concern 0\.\d{3}\n", part), part
        assert part.count("reads like (") == 3, part
    before = [part for part in parts if "--before" in part]
    assert len(before) == sum(1 for _, before in script.MESSAGES if before) >= 2
    assert all("for what was said before" in part for part in before)


def test_all_were_explained_by_one_policy_and_one_model() -> None:
    assert len(set(re.findall(r"^policy ([0-9a-f]{12})$", PAGE, re.MULTILINE))) == 1
    assert len(set(re.findall(r"the language model \((\S+ [0-9a-f]{12})\)", PAGE))) == 1


def test_the_messages_are_of_no_corpus(script: ModuleType) -> None:
    known = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in (TOP / "corpus" / "messages", TOP / "tests" / "corpus")
        for path in folder.glob("*.jsonl")
    ).casefold()
    shown = [text for text, _ in script.MESSAGES]
    assert [text for text in shown if text.casefold() in known] == []
