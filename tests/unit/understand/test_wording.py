"""Wording counts words, pairs and parts of any text, and adds up their weights."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.understand.wording import BITS, Wording, counted

ODD = [
    "", " ", "\ud800", "\x00", "\u00e9" * 9_000, "\U0001f46e\U0001f3fd\u200d\u2640 \U0001f693",
    "\u202eobs\u202c", "a" * 70_000, "\u0301" * 5_000,
]  # fmt: skip


def weighing(*texts: str) -> Wording:
    """Give one for which everything that stands in *texts* speaks for a job."""
    tables = {name: np.zeros((2, 1 << bits), dtype=np.int8) for name, bits in BITS.items()}
    for text in texts:
        for name, places in counted(text, [text]).items():
            tables[name][0, list(places)] = 100
    return Wording(tables, {name: np.array([0.01, 0.02]) for name in BITS})


def test_words_that_speak_for_a_job_do_so_alone_in_pairs_and_in_parts() -> None:
    wording = weighing("handing the keys over at custody")
    same = wording.logits("handing the keys over at custody").operational
    other_order = wording.logits("custody at over the keys handing").operational
    alike = wording.logits("keyholder handed").operational
    assert same > other_order > alike > 0
    assert wording.logits("milk?").operational == 0
    assert wording.logits("handing the keys over at custody").concern == 0


def test_what_was_said_before_counts_by_itself_and_oldest_is_left_out() -> None:
    wording = weighing("custody")
    assert wording.logits("milk?", ["custody"]).operational > 0
    assert wording.logits("milk?", ["custody", "a", "b", "c"]).operational == 0


def test_letter_case_and_look_alike_letters_change_nothing() -> None:
    assert counted("CUSTODY \uff43ell") == counted("custody cell")


@pytest.mark.parametrize("text", ODD)
def test_any_text_has_a_judgement(text: str) -> None:
    wording = weighing("custody")
    logits = wording.logits(text, [text] * 5)
    assert all(np.isfinite(logits))
    assert wording.logits(text, [text] * 5) == logits


def test_what_was_written_is_read_again() -> None:
    wording = weighing("custody suite is full")
    again = Wording.read(wording.write())
    text = "custody is full again"
    assert again.logits(text) == wording.logits(text)
    assert wording.write() == wording.write()


def test_a_table_of_another_shape_is_refused() -> None:
    tables = {name: np.zeros((2, 1 << bits), dtype=np.int8) for name, bits in BITS.items()}
    tables["parts"] = tables["parts"][:, 1:]
    with pytest.raises(ValueError, match="shape"):
        Wording(tables, {name: np.ones(2) for name in BITS})
