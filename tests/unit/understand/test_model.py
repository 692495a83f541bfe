"""A model is what its manifest says or is not used, and says the same whenever it is asked."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bridge.errors import ModelRefused
from bridge.understand.model import Asked, Belief, Model
from bridge.understand.shipped import EXAMPLES, MANIFEST, NETWORK, TOKENIZER, VECTORS, WORDING
from bridge.way.understood import asking, choose
from tests.unit.understand.tiny import SHARES, WEIGHTS, seal, tiny

CORE = Asked("got him, under the bed, just the cousin left to find")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model.load(folder)


def test_it_tells_talk_about_a_job_from_talk_about_milk(model: Model) -> None:
    job, milk = model.judge([CORE, Asked("who brings the milk")])
    assert job.operational > 0.9
    assert milk.operational < 0.1


def test_what_was_said_before_changes_what_a_fragment_means(model: Model) -> None:
    alone, after = model.judge([Asked("maybe"), Asked("maybe", ("got him", "find the cell"))])
    assert alone.operational < 0.6 < after.operational


def test_a_message_reads_like_the_examples_nearest_to_it(model: Model) -> None:
    (belief,) = model.judge([Asked("got him under the bed")])
    likest = model.likest(belief, 2)
    assert likest[0].example.id == "t-1"
    assert likest[0].nearness == pytest.approx(1.0, abs=0.01)
    assert likest[0].nearness > likest[1].nearness


def said(count: int) -> list[Asked]:
    chance = random.Random(4)  # noqa: S311 - no secret
    words = list(WEIGHTS)
    return [
        Asked(
            " ".join(chance.choices(words, k=chance.randint(1, 120))),
            tuple(" ".join(chance.choices(words, k=5)) for _ in range(chance.randint(0, 3))),
        )
        for _ in range(count)
    ]


def exactly(beliefs: list[Belief]) -> list[tuple[float, float, bytes]]:
    return [(one.operational, one.concern, one.embedding.tobytes()) for one in beliefs]


def test_the_same_words_get_the_same_answer_singly_in_a_batch_in_threads_and_again(
    model: Model, folder: Path
) -> None:
    some = said(60)
    singly = exactly([model.judge([one])[0] for one in some])
    assert exactly(model.judge(some)) == singly
    assert exactly(model.judge(some[::-1]))[::-1] == singly
    assert exactly(model.judge(some, threads=4)) == singly
    assert exactly(Model.load(folder).judge(some)) == singly
    asked = asking(model)([(one.body, one.before) for one in some])
    assert exactly([one for one in asked if one is not None]) == singly


@pytest.mark.parametrize("name", [MANIFEST, NETWORK, TOKENIZER, WORDING, EXAMPLES, VECTORS])
def test_a_file_that_is_missing_refuses_the_model(tmp_path: Path, name: str) -> None:
    (tiny(tmp_path) / name).unlink()
    with pytest.raises(ModelRefused, match=f"{name}: it cannot be read"):
        Model.load(tmp_path)


@pytest.mark.parametrize("name", [NETWORK, TOKENIZER, WORDING, EXAMPLES, VECTORS])
def test_a_file_that_was_changed_by_one_bit_refuses_the_model(tmp_path: Path, name: str) -> None:
    path = tiny(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelRefused, match=f"{name}: it was changed"):
        Model.load(tmp_path)


def test_a_manifest_that_was_changed_is_another_model(tmp_path: Path, model: Model) -> None:
    seal(tiny(tmp_path), seed=2)
    assert Model.load(tmp_path).digest != model.digest


@pytest.mark.parametrize(
    ("said_instead", "why"),
    [
        ({"format": 1}, "of format"),
        ({"encoding": 99}, "of format"),
        ({"max_tokens": 4}, "max_tokens"),
        ({"files": {}}, "does not say its digest"),
        ({"calibration": {"operational": {"a": 1, "b": 0}}}, "no manifest"),
    ],
)
def test_a_manifest_that_makes_no_sense_refuses_the_model(
    tmp_path: Path, said_instead: dict[str, object], why: str
) -> None:
    seal(tiny(tmp_path), **said_instead)
    with pytest.raises(ModelRefused, match=why):
        Model.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe", b'{"format": 2}'])
def test_a_manifest_that_is_none_refuses_the_model(tmp_path: Path, content: bytes) -> None:
    (tiny(tmp_path) / MANIFEST).write_bytes(content)
    with pytest.raises(ModelRefused, match="no manifest"):
        Model.load(tmp_path)


@pytest.mark.parametrize("name", [NETWORK, TOKENIZER, WORDING, EXAMPLES, VECTORS])
def test_files_that_fit_the_manifest_and_are_no_model_are_refused(
    tmp_path: Path, name: str
) -> None:
    (tiny(tmp_path) / name).write_bytes(b"no model at all")
    seal(tmp_path)
    with pytest.raises(ModelRefused, match="does not run"):
        Model.load(tmp_path)


def test_a_model_without_the_named_thresholds_is_not_chosen(tmp_path: Path) -> None:
    few = {name: value for name, value in SHARES.items() if name != "2%"}
    seal(tiny(tmp_path), thresholds={"operational": few, "concern": SHARES})
    chosen = choose(tmp_path)
    assert chosen.model is None
    assert "no threshold at 2%" in chosen.refused


def test_no_model_is_chosen_where_there_is_to_be_none() -> None:
    assert (choose(None).model, choose(None).refused) == (None, "")


def test_what_the_shipped_folder_says_of_itself_holds() -> None:
    """The model that comes with Blue Lamp loads, and its manifest names every file beside it."""
    from bridge.understand.shipped import SHIPPED  # noqa: PLC0415

    shipped = choose(SHIPPED)
    assert shipped.refused == ""
    assert shipped.model is not None
    named = json.loads((SHIPPED / MANIFEST).read_text(encoding="utf-8"))["files"]
    assert set(named) | {MANIFEST} == {path.name for path in SHIPPED.iterdir()}
    some = [CORE, Asked("who brings the milk tomorrow"), Asked("ok", ("shall we", "yes"))]
    assert exactly(shipped.model.judge(some)) == exactly(
        [shipped.model.judge([one])[0] for one in some]
    )


# Bad input


@pytest.mark.parametrize(
    "body",
    [
        "",
        " \n\t",
        "\x00",
        "🙂" * 40,
        "привет, как дела",
        "مرحبا بالعالم",
        "你好世界",
        "ᓀᐦᐃᔭᐍᐏᐣ",
        "zzzz " * 13_000,
    ],
)
def test_what_it_has_no_words_for_it_has_not_read(model: Model, body: str) -> None:
    (belief,) = model.judge([Asked(body)])
    assert not belief.read
    assert (belief.operational, belief.concern) == (0.0, 0.0)


@pytest.mark.parametrize(
    "body",
    [
        "\ud800 got him \udfff",
        "got him \x00 under the bed",
        "g\u0301ot hi\u200bm",
        "\uff47\uff4f\uff54 \uff48\uff49\uff4d",
    ],
)
def test_odd_characters_neither_hide_words_nor_break_it(model: Model, body: str) -> None:
    (belief,) = model.judge([Asked(body, ("\udc00", "\x00", "got"))])
    assert belief.read
    assert belief.operational > 0.6


@pytest.mark.parametrize(
    "body", ["g o t  h i m  u n d e r", "g.o.t  h.i.m  u.n.d.e.r", "g0t h1m und3r the b3d"]
)
def test_what_is_typed_to_be_missed_is_read_as_somebody_would(model: Model, body: str) -> None:
    (belief,) = model.judge([Asked(body)])
    assert belief.read
    assert belief.operational > 0.6


def test_the_other_reading_makes_a_message_no_less_of_anything(model: Model) -> None:
    plain, both = model.judge([Asked("got him vile"), Asked("got him vile m1lk")])
    assert both.operational >= plain.operational - 1e-6
    assert both.concern >= plain.concern - 1e-6


def test_what_seems_harmless_after_other_talk_is_read_by_itself_as_well(model: Model) -> None:
    (belief,) = model.judge([Asked("got him", ("milk lunch milk", "lunch milk lunch"))])
    assert belief.operational < 0.2
    assert belief.alone is not None
    assert belief.alone > 0.6


def test_a_message_of_64_kib_is_read_in_windows_and_in_bounded_time(model: Model) -> None:
    runs = []
    run = model._run
    model._run = lambda row: runs.append(row) or run(row)  # type: ignore[method-assign,func-returns-value]
    try:
        (belief,) = model.judge([Asked("who " * 200 + "got him under the bed " + "the " * 16_000)])
    finally:
        del model._run
    assert belief.operational > 0.9, "what stands in a later window counts"
    assert 1 < len(runs) <= 8
    assert max(len(row.ids) for row in runs) <= 64
