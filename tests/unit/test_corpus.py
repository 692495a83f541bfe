"""Holds corpus/ to its own rules, and shows that what checks it sees what is wrong."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.policy.corpus import Label, read_corpus
from corpus import check
from corpus.agreement import agreement, sample
from corpus.alike import NEAR, SHORT, alike, fold, grams, jaccard
from corpus.counts import IDENTIFY, in_readme, renewed, tables
from corpus.halves import divide, traits
from corpus.marks import phones, plates
from corpus.rows import HERE, Corpus, Half, Said, read

CARD = {
    "name": "Ann Other", "unit": "response", "place": "Nowhere", "nation": "Wales", "age": 30,
    "habits": "none", "week": "quiet",
}  # fmt: skip
#: Four short messages of each of two voices: enough to be whole, and to be broken.
WORDS = {
    "x-ann-one": [
        "two of them over the back wall",
        "the kettle has gone again",
        "hello all",
        "eleven",
    ],
    "x-bob-two": ["he signed it before she came", "nobody told the horse", "good evening", "ten"],
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read()


def row(voice: str, number: int, text: str, **other: Any) -> dict[str, Any]:
    return {
        "id": f"{voice}-{number:03}", "text": text, "before": [], "label": "social", "hard": False,
        "kinds": ["banter"], "why": "made for a test",
    } | other  # fmt: skip


def write(folder: Path, voice: str, rows: list[dict[str, Any]], **card: Any) -> None:
    (folder / "messages").mkdir(exist_ok=True)
    (folder / "voices").mkdir(exist_ok=True)
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    (folder / "messages" / f"{voice}.jsonl").write_text(lines, encoding="utf-8")
    told = yaml.safe_dump(CARD | card, sort_keys=False)
    (folder / "voices" / f"{voice}.yaml").write_text(told, encoding="utf-8")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A corpus of two voices that only lacks its second labels."""
    shutil.copy(HERE / "units.yaml", tmp_path)
    kinds = {"kinds": {"banter": {"means": "talk", "also": ["chat"]}}}
    (tmp_path / "kinds.yaml").write_text(yaml.safe_dump(kinds), encoding="utf-8")
    for voice, texts in WORDS.items():
        write(tmp_path, voice, [row(voice, n, text) for n, text in enumerate(texts)])
    halves = {"train": ["x-ann-one"], "held": ["x-bob-two"]}
    (tmp_path / "split.yaml").write_text(yaml.safe_dump(halves), encoding="utf-8")
    return tmp_path


def wrong(folder: Path, others: dict[str, str] | None = None) -> list[str]:
    # Two voices cannot be divided by four to one.
    return [one for one in check.problems(read(folder), others or {}) if "not about" not in one]


def first(folder: Path, **other: Any) -> list[str]:
    """What is wrong once the first message of the first voice is otherwise."""
    rows = [row("x-ann-one", n, text) for n, text in enumerate(WORDS["x-ann-one"])]
    write(folder, "x-ann-one", [rows[0] | other, *rows[1:]])
    return wrong(folder)


# The corpus as it is


@pytest.mark.slow
def test_nothing_is_wrong_with_the_corpus(corpus: Corpus) -> None:
    assert [*check.problems(corpus, check.others()), *check.disputes(corpus)] == []


def test_it_has_what_was_asked_for(corpus: Corpus) -> None:
    assert len(corpus.said) >= 6_000
    assert {card.nation for card in corpus.cards.values()} == {
        "England", "Northern Ireland", "Scotland", "Wales",
    }  # fmt: skip
    units = yaml.safe_load((HERE / "units.yaml").read_text("utf-8"))["units"]
    assert {card.group for card in corpus.cards.values()} == set(units)


def test_most_operational_messages_name_nothing(corpus: Corpus) -> None:
    told = [one for one in corpus.said if one.label is Label.OPERATIONAL]
    assert sum(not IDENTIFY & set(one.kinds) for one in told) / len(told) >= 0.75


def test_the_readme_shows_the_tables_of_today(corpus: Corpus) -> None:
    assert in_readme((HERE / "README.md").read_text("utf-8")) == tables(corpus)


def test_the_readme_counts_what_the_two_readers_differ_over(corpus: Corpus) -> None:
    lines = (HERE / "disputed.jsonl").read_text("utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    first = sum(one["propose"] == one["label"] for one in told)
    second = sum(one["propose"] == one["second"] for one in told)
    text = (HERE / "README.md").read_text("utf-8")
    assert f"In {len(told)} of {len(corpus.second)}." in text
    assert f"the first reader {first} times and the second {second} times" in text
    assert f"{len(told) - first - second} cannot be settled" in text


def test_every_unit_and_nation_is_learned_from_and_measured(corpus: Corpus) -> None:
    for half in Half:
        cards = [card for voice, card in corpus.cards.items() if corpus.halves[voice] is half]
        assert {card.nation for card in cards} == {card.nation for card in corpus.cards.values()}
        assert {card.group for card in cards} == {card.group for card in corpus.cards.values()}


# What is seen


def test_a_small_corpus_that_is_right_has_one_problem_that_it_was_given(small: Path) -> None:
    assert wrong(small) == []
    (small / "voices" / "x-ann-one.yaml").unlink()
    assert "x-ann-one has messages and no card" in wrong(small)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "x-bob-two-000"}, "does not begin with x-ann-one-"),
        ({"id": "x-ann-one-001"}, "the id x-ann-one-001 is there twice"),
        ({"text": " "}, "there is no text"),
        ({"before": ["a", "b", "c", "d"]}, "'before' is not a list of at most 3 texts"),
        ({"before": "a"}, "'before' is not a list of at most 3 texts"),
        ({"label": "chat"}, "'chat' is not one of"),
        ({"hard": 1}, "'hard' is neither"),
        ({"kinds": []}, "'kinds' is not a list of texts, or is empty"),
        ({"kinds": ["gossip"]}, "the kind 'gossip' is not in kinds.yaml"),
        ({"why": ""}, "there is no reason"),
        ({"extra": 1}, "and not id, text, before"),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_named(
    small: Path, change: dict[str, Any], said: str
) -> None:
    (problem,) = first(small, **change)
    assert said in problem
    assert problem.startswith("messages/x-ann-one.jsonl:")


def test_another_word_for_a_kind_is_read_as_the_kind(small: Path) -> None:
    assert first(small, kinds=["chat", "banter"]) == []
    assert read(small).said[0].kinds == ("banter",)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"age": "thirty"}, "no age of somebody at work"),
        ({"nation": "Atlantis"}, "names no nation"),
        ({"unit": "ballet"}, "belongs to no group"),
        ({"mood": "low"}, "and not name, unit, place"),
    ],
)
def test_a_card_that_is_not_as_it_should_be_is_named(
    small: Path, card: dict[str, Any], said: str
) -> None:
    write(small, "x-ann-one", [row("x-ann-one", 1, "two of them over the back wall")], **card)
    assert any(said in one for one in wrong(small))


def test_a_card_without_messages_and_a_voice_without_a_half_are_named(small: Path) -> None:
    write(small, "x-cat-new", [])
    assert set(wrong(small)) == {
        "x-cat-new has a card and no messages", "split.yaml: x-cat-new is in neither half",
    }  # fmt: skip


def test_a_voice_in_both_halves_is_named(small: Path) -> None:
    halves = {"train": ["x-ann-one", "x-bob-two"], "held": ["x-bob-two"]}
    (small / "split.yaml").write_text(yaml.safe_dump(halves), encoding="utf-8")
    assert any("x-bob-two is in both halves" in one for one in wrong(small))


def test_nearly_the_same_line_in_both_halves_is_a_leak(small: Path) -> None:
    (problem,) = first(small, text="He signed it before SHE came!")
    assert "x-ann-one-000 and x-bob-two-000 are alike by 1.00: a leak" in problem


def test_what_was_said_before_leaks_as_well(small: Path) -> None:
    (problem,) = first(small, before=["and he signed it before she came"])
    assert "a leak between the halves" in problem


def test_a_leak_cannot_be_accepted_and_a_copy_in_one_half_can(small: Path) -> None:
    (small / "accepted.yaml").write_text("x-ann-one-000: looked at\n", encoding="utf-8")
    copied = "he signed it before she came"
    assert any("a leak" in one for one in first(small, text=copied))
    halves = {"train": ["x-ann-one", "x-bob-two"], "held": []}
    (small / "split.yaml").write_text(yaml.safe_dump(halves), encoding="utf-8")
    assert first(small, text=copied) == []


def test_the_same_words_after_other_words_are_no_copy_within_a_voice(small: Path) -> None:
    same = WORDS["x-ann-one"][1]
    assert first(small, text=same, before=["who left the back door"]) == []
    assert first(small, text=same) == [
        "x-ann-one-001 says the same as x-ann-one-000, after the same"
    ]


def test_what_others_wrote_is_known_again(small: Path) -> None:
    others = {"sample.jsonl 7": "The kettle has gone again??"}
    assert wrong(small, others) == ["x-ann-one-001 and sample.jsonl 7 are alike by 1.00: a copy"]


def test_a_development_set_is_read_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"id": "d1", "text": "only here", "label": "social"}\n', encoding="utf-8")
    monkeypatch.setenv("BLUELAMP_DEV_CORPUS", str(dev))
    assert check.others()["dev.jsonl d1"] == "only here"
    monkeypatch.delenv("BLUELAMP_DEV_CORPUS")
    assert "dev.jsonl d1" not in check.others()
    assert len(check.others()) > 100


def test_a_mark_that_may_be_real_is_named_until_it_is_accepted(small: Path) -> None:
    text = "seen again: AB19 CDE by the mill"
    assert first(small, text=text) == ["x-ann-one-000: AB19 CDE could be somebody's"]
    (small / "accepted.yaml").write_text("x-ann-one-000: looked at\n", encoding="utf-8")
    assert first(small, text=text) == []


# Marks


@pytest.mark.parametrize(
    "text",
    ["07700 900123", "+44 7700 900 123", "020 7946 0958", "(0113) 496 0000", "0191 498 0999",
     "01632 960 001", "0808 157 0999", "028 9649 6000", "029 2018 0123", "log 0412 of today"],
)  # fmt: skip
def test_numbers_for_drama_are_left_alone(text: str) -> None:
    assert list(phones(text)) == []


@pytest.mark.parametrize(
    "text", ["07712 345678", "+44 (0)20 7123 4567", "0044 161 999 1234", "01482 555555"]
)
def test_other_numbers_are_found(text: str) -> None:
    assert list(phones(f"ring {text} now")) == [text]


@pytest.mark.parametrize("text", ["AB28 CDE", "kx77abc", "LS00 ABC", "PQZ 4471", "page 12 of 30"])
def test_registrations_that_were_never_issued_are_left_alone(text: str) -> None:
    assert list(plates(text)) == []


@pytest.mark.parametrize(
    "text", ["AB26 CDE", "kx51abc", "AB76-CDE", "A123 BCD", "BCD 123A", "AXZ 1234"]
)
def test_registrations_that_may_be_issued_are_found(text: str) -> None:
    assert list(plates(f"the {text} went")) == [text]


# Likeness


def test_the_index_finds_just_what_comparing_all_with_all_finds() -> None:
    chance = random.Random(7)  # noqa: S311 - the same texts each time
    words = ["gate", "two", "dogs", "again", "over", "left", "white", "shed", "never", "mine"]
    texts = {str(n): " ".join(chance.choices(words, k=6)) for n in range(200)}
    long = {name: text for name, text in texts.items() if len(fold(text)) >= SHORT}
    expected = {
        frozenset(pair)
        for pair in itertools.combinations(long, 2)
        if jaccard(*(grams(fold(long[name])) for name in pair)) >= NEAR
    }
    assert len(expected) > 3
    assert {frozenset(found[1:]) for found in alike(texts)} == expected


def test_folding_leaves_letters_and_figures() -> None:
    assert fold("  Café—NOW!! 2½ 🐶") == "cafe now 21 2"


# Halves


@pytest.mark.slow
def test_dividing_is_even_and_the_same_each_time(corpus: Corpus) -> None:
    weighs = traits(corpus.cards, corpus.said)
    halves = divide(weighs)
    assert halves == divide(dict(reversed(weighs.items())))
    held = Counter[str]()
    for voice, half in halves.items():
        held.update(weighs[voice] if half is Half.HELD else {})
    total = Counter[str]()
    for weight in weighs.values():
        total.update(weight)
    for trait in ("label social", "label operational", "label concern", "hard"):
        assert held[trait] / total[trait] == pytest.approx(0.2, abs=0.02)


@pytest.mark.slow
def test_a_new_voice_moves_no_other(corpus: Corpus) -> None:
    weighs = traits(corpus.cards, corpus.said)
    before = divide(weighs)
    after = divide({**weighs, "z-new-voice": Counter({"nation Wales": 100})}, before)
    assert {voice: after[voice] for voice in before} == before


# Second labels


def said(voice: str, number: int, label: Label) -> Said:
    return Said(
        id=f"{voice}-{number:03}", voice=voice, text="words", before=(), label=label, hard=False,
        kinds=("banter",), why="made for a test",
    )  # fmt: skip


def test_kappa_is_that_of_the_textbook() -> None:
    counts = {("s", "s"): 20, ("s", "o"): 5, ("o", "s"): 10, ("o", "o"): 15}
    label = {"s": Label.SOCIAL, "o": Label.OPERATIONAL}
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    messages = [said("x-ann-one", n, label[pair[0]]) for n, pair in enumerate(pairs)]
    second = {one.id: label[pair[1]] for one, pair in zip(messages, pairs, strict=True)}
    found = agreement(messages, second)
    assert (found.agreed, found.total, len(found.apart)) == (35, 50, 15)
    assert found.kappa == pytest.approx(0.4)


def test_a_tenth_is_drawn_of_every_voice_and_a_new_voice_changes_nothing_for_others() -> None:
    labels = [Label.SOCIAL] * 30 + [Label.OPERATIONAL] * 20 + [Label.CONCERN] * 10
    one = [said("x-ann-one", n, label) for n, label in enumerate(labels)]
    two = [said("x-bob-two", n, label) for n, label in enumerate(labels)]
    drawn = sample(one)
    assert Counter(each.label for each in drawn) == {
        Label.SOCIAL: 3, Label.OPERATIONAL: 2, Label.CONCERN: 1,
    }  # fmt: skip
    assert set(map(id, drawn)) <= set(map(id, sample([*two, *one])))
    assert sample(one, [each.id for each in drawn]) == []
    assert sample(one, [drawn[0].id])[0].id != drawn[0].id


def test_a_second_reader_sees_nothing_of_the_first_label() -> None:
    corpus = Corpus(said=[said("x-ann-one", n, Label.CONCERN) for n in range(20)])
    lines = [json.loads(line) for line in check.unread(corpus).splitlines()]
    assert [line.keys() for line in lines] == [{"id", "before", "text"}] * 2


def test_a_proposal_about_labels_that_are_no_longer_so_is_named(tmp_path: Path) -> None:
    corpus = Corpus(said=[said("x-ann-one", 1, Label.SOCIAL)])
    corpus.second = {"x-ann-one-001": Label.CONCERN}
    line = {"id": "x-ann-one-001", "label": "social", "second": "concern", "propose": "concern"}
    told = tmp_path / "disputed.jsonl"
    told.write_text("", encoding="utf-8")
    assert "two labels and no line" in next(check.disputes(corpus, tmp_path))
    told.write_text(json.dumps(line | {"reason": "it is"}) + "\n", encoding="utf-8")
    assert list(check.disputes(corpus, tmp_path)) == []
    corpus.second = {}
    assert "no longer disputed so" in next(check.disputes(corpus, tmp_path))


# For use elsewhere


def test_a_half_can_be_measured_by_the_command(corpus: Corpus) -> None:
    held = corpus.half(Half.HELD)
    read_again = read_corpus(check.flat(held), "held")
    assert [(one.id, one.text, one.label) for one in read_again] == [
        (one.id, one.text, one.label) for one in held
    ]
    assert Counter("hard" in one.tags for one in read_again)[True] == sum(o.hard for o in held)


def test_what_was_said_before_is_kept_only_where_that_is_asked(corpus: Corpus) -> None:
    held = corpus.half(Half.HELD)
    kept = read_corpus(check.flat(held, before=True), "held")
    assert [one.before for one in kept] == [one.before for one in held]
    assert any(one.before for one in kept)
    assert not any(one.before for one in read_corpus(check.flat(held), "held"))


def test_new_tables_replace_the_old_and_nothing_else() -> None:
    old = renewed(
        "# Card\n\n" + "<!-- counts: make corpus ARGS=--renew -->\n<!-- end of counts -->\nend", "a"
    )
    assert in_readme(renewed(old, "b")) == "b"
    assert renewed(old, "b") == old.replace("\na\n", "\nb\n")
    assert in_readme("no place") is None
