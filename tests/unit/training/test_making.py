"""Holds what makes the model, without what learns: pieces, thresholds, calibration, the folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace

from bridge.policy.corpus import Label
from training.card import card
from training.data import Example, folds
from training.judging import NAMED, above, at_limits, limits_of
from training.measures import Platt, platt, recall_at, reliability, share_of, threshold
from training.publish import diverse, replace, sha256, showable, write_examples, write_manifest
from training.vocabulary import SPECIAL, chosen, pruned

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789?."
WORDS = ["the", "kettle", "was", "seized", "##ing", "##s", "cr", "##ime", "nobody", "中"]


@pytest.fixture
def base() -> Tokenizer:
    pieces = [*SPECIAL, *CHARACTERS, *(f"##{ch}" for ch in CHARACTERS), *WORDS]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.add_special_tokens(list(SPECIAL))
    return made


# Pieces of words


def test_pieces_that_texts_need_are_kept_before_frequent_ones(base: Tokenizer) -> None:
    least = len(SPECIAL) + 2 * len(CHARACTERS)
    kept = chosen(base, ["nobody", "nobody", "seized"], least + 3)
    assert "nobody" in kept
    assert "seized" not in kept
    assert {"the", "kettle"} <= set(kept)
    assert "was" not in kept
    assert "中" not in kept


def test_any_plain_word_can_be_read_with_what_is_left(base: Tokenizer) -> None:
    small = pruned(base, chosen(base, [], 0))
    assert "[UNK]" not in small.encode("seized crime 42").tokens
    assert small.encode("the").tokens == ["t", "##h", "##e"]


def test_kept_pieces_are_numbered_anew_and_special_ones_with_them(base: Tokenizer) -> None:
    kept = chosen(base, ["kettle", "kettle"], 0)
    small = pruned(base, kept)
    assert small.get_vocab_size() == len(kept)
    assert [small.id_to_token(at) for at in range(len(kept))] == kept
    assert small.encode("kettle").ids == [kept.index("kettle")]


# Thresholds and calibration


def test_at_most_a_share_is_above_a_threshold() -> None:
    negatives = np.arange(1_000) / 1_000
    for share in (0.0, 0.005, 0.02, 0.5):
        assert (negatives > threshold(negatives, share)).mean() <= share
        assert (negatives >= above(threshold(negatives, share))).mean() <= share


def test_recall_counts_what_is_above_all_but_a_share_of_the_others() -> None:
    negatives, positives = np.linspace(0, 1, 100), np.array([0.2, 0.97, 0.995, 2.0])
    assert recall_at(positives, negatives, 0.0) == 0.25
    assert recall_at(positives, negatives, 0.05) == 0.75


def test_a_force_is_never_left_out_to_find_thresholds_by_what_it_found_wrong() -> None:
    hands_of = ["a", "b", "c", "force", "a"]
    some = [example(at, Label.SOCIAL, voice=f"{hand}-x") for at, hand in enumerate(hands_of)]
    hands = [{some[at].hand for at in out} for _, out in folds(some, by="hand", count=3)]
    assert set().union(*hands) == {"a", "b", "c"}
    alone = [one for one in some if one.hand != "force"]
    assert hands == [{alone[at].hand for at in out} for _, out in folds(alone, by="hand", count=3)]
    assert all(3 in inside for inside, _ in folds(some, by="hand", count=3))


def test_what_taught_nothing_has_no_calibration() -> None:
    chance = np.random.default_rng(2)
    logits = chance.normal(size=2_000)
    with pytest.raises(ValueError, match="seldomer it is right"):
        platt(logits, (chance.random(2_000) > Platt(1.0, 0.0)(logits)).astype(float))
    with pytest.raises(ValueError, match="was anything learned"):
        platt(logits, (logits > 0).astype(float), rounds=5)


def test_the_card_of_a_forces_own_model_says_whose_words_it_learned() -> None:
    told = dict.fromkeys(
        ("name", "learned", "ordinary", "voices", "hands", "words", "most_pieces", "seed", "held",
         "hard", "most_characters", "corpus"), 1
    )  # fmt: skip
    assert "7 real messages of one force" in card({**told, "rows": [], "own": 7})
    assert "no real message" in card({**told, "rows": [], "own": 0})


def test_calibration_finds_the_line_that_made_the_labels() -> None:
    chance = np.random.default_rng(1)
    logits = chance.normal(0, 2, 20_000)
    wishes = (chance.random(20_000) < Platt(0.7, -0.5)(logits)).astype(float)
    line = platt(logits, wishes)
    assert line.a == pytest.approx(0.7, abs=0.05)
    assert line.b == pytest.approx(-0.5, abs=0.06)
    rows = reliability(line(logits), wishes)
    assert all(row["low"] - 0.02 <= row["stated"] <= row["high"] + 0.02 for row in rows)
    assert sum(row["n"] for row in rows) == 20_000


def test_a_share_has_its_interval() -> None:
    assert share_of([True, False, False, False])["share"] == 0.25
    assert share_of([])["n"] == 0
    found = share_of([True] * 20 + [False] * 980)
    assert found["low"] < 0.02 < found["high"]


def example(at: int, label: Label, **other: object) -> Example:
    given = {"id": f"x-{at}", "voice": "x", "text": f"number {at} is on its way", "before": (),
             "label": label, "hard": True, "kinds": ()} | other  # fmt: skip
    return Example(**given)  # type: ignore[arg-type]


def test_limits_hold_their_share_of_hard_social_and_find_what_is_above() -> None:
    some = [example(at, Label.SOCIAL) for at in range(1_000)]
    some += [example(1_000 + at, Label.OPERATIONAL) for at in range(10)]
    logits = np.zeros((1_010, 2))
    logits[:1_000, 0] = np.linspace(-5, 3, 1_000)
    logits[1_000:, 0] = 4
    lines = {"operational": Platt(1, 0), "concern": Platt(1, 0)}
    limits = limits_of(some, logits, lines)
    assert set(limits["operational"]) == set(NAMED)
    told = at_limits(some, logits, lines, limits)
    assert told["operational found at 2%"]["share"] == 1
    assert 0.015 < told["hard social taken for operational at 2%"]["share"] <= 0.02
    assert told["concern found at 2%"]["n"] == 0


# The folder


def test_examples_that_are_shown_stand_by_themselves_and_name_nobody() -> None:
    assert showable(example(1, Label.SOCIAL))
    assert not showable(example(1, Label.SOCIAL, before=("what",)))
    assert not showable(example(1, Label.SOCIAL, kinds=("fragment",)))
    assert not showable(example(1, Label.SOCIAL, kinds=("person",)))
    assert not showable(example(1, Label.SOCIAL, text="ring 07700 900123 when you can"))
    assert not showable(example(1, Label.SOCIAL, text="ok"))


def test_examples_are_far_from_each_other() -> None:
    angles = np.array([0.0, 0.01, 0.02, 1.5, 1.51, 3.1])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chosen_ones = diverse(vectors, 3)
    assert {int(at > 2) + int(at > 4) for at in chosen_ones} == {0, 1, 2}


def test_the_manifest_names_every_file_and_is_refused_where_they_are_too_large(
    tmp_path: Path,
) -> None:
    write_examples(tmp_path, [example(1, Label.SOCIAL)], np.ones((1, 4)) / 2)
    write_manifest(tmp_path, "tiny", {"seed": 1})
    told = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert told["seed"] == 1
    assert told["files"] == {
        name: sha256(tmp_path / name) for name in ("examples.jsonl", "examples.npy")
    }
    (tmp_path / "large").write_bytes(bytes(16_000_000))
    with pytest.raises(ValueError, match="more than"):
        write_manifest(tmp_path, "tiny", {"seed": 1})


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    made, place = tmp_path / "made", tmp_path / "place"
    for folder, name in ((made, "new"), (place, "old")):
        folder.mkdir()
        (folder / name).write_text(name, encoding="utf-8")
    replace(made, place)
    assert [path.name for path in place.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "place"]
