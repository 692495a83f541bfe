"""The language model at the command line: with it, without it, and when it is not what it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.config import load_config
from bridge.demo.force import Force, found
from bridge.errors import ConfigError
from bridge.policy.meaning import OPERATIONAL
from bridge.understand.shipped import SHIPPED
from bridge.way.understood import choose, state_of
from tests.unit.policy.shipped import POLICIES, shipped
from tests.unit.understand.tiny import tiny

CORE = "got him, under the bed, just the cousin left to find"
ROWS: list[dict[str, Any]] = [
    {"id": "1", "text": CORE, "label": "operational"},
    {"id": "2", "text": "who brings the milk", "label": "social"},
    {"id": "3", "text": "maybe", "label": "operational", "before": ["got him", "find the cell"]},
    {"id": "4", "text": "vile useless milk", "label": "concern"},
    {"id": "5", "text": "AB12 CDE got him under the bed", "label": "operational"},
]


class Typist:
    """Types commands of one force that has a tiny model of its own."""

    def __init__(self, force: Force, capsys: pytest.CaptureFixture[str]) -> None:
        self.force, self.capsys = force, capsys
        self.model = tiny(force.folder / "models" / "ours")
        self.says("model: models/ours")

    def says(self, line: str) -> None:
        config = self.force.config.read_text("utf-8")
        kept = [one for one in config.split("\n") if not one.startswith("model:")]
        self.force.config.write_text("\n".join([line, *kept]), "utf-8")

    def types(self, *words: str) -> tuple[int, str, str]:
        code = main(["-c", str(self.force.config), *words])
        out, err = self.capsys.readouterr()
        return code, out, err

    def corpus(self) -> str:
        path = self.force.folder / "corpus.jsonl"
        path.write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
        return str(path)

    def measures(self, *words: str) -> dict[str, Any]:
        code, out, err = self.types("policy", "test", "--json", "--corpus", self.corpus(), *words)
        assert (code, err) == (0, "")
        return dict(json.loads(out))


@pytest.fixture
def typist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typist:
    return Typist(found(tmp_path, "http://127.0.0.1:9"), capsys)


@pytest.fixture(autouse=True)
def costs_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.policy.load.probe_costs", lambda *_: None)


def test_explaining_shows_belief_words_and_what_it_reads_like(typist: Typist) -> None:
    code, out, _ = typist.types("policy", "explain", "got him under the bed")
    assert code == 0
    assert "nudge, because it reads like talk about a job" in out
    assert "believes: operational 0.9" in out
    assert "words that mattered: got +1.0, him +1.0, bed +1.0, under +0.5" in out
    assert "reads like (operational, 1.00): got him under the bed" in out


def test_explaining_with_what_was_said_before_says_what_that_did(typist: Typist) -> None:
    _, alone, _ = typist.types("policy", "explain", "maybe cell")
    _, after, _ = typist.types("policy", "explain", "maybe cell", "--before", "got him")
    assert "for what was said before: +1.0" in after
    assert "said before" not in alone


def test_explaining_without_it_does_not_speak_of_it(typist: Typist) -> None:
    code, out, _ = typist.types("policy", "explain", CORE, "--model", "off")
    assert code == 0
    assert "model" not in out
    assert "allow" in out


def test_explaining_what_rules_have_moved_says_that_it_is_not_asked(typist: Typist) -> None:
    _, out, _ = typist.types("policy", "explain", str(ROWS[4]["text"]))
    assert "it is not asked about this message" in out


def test_explaining_what_it_cannot_read_says_so(typist: Typist) -> None:
    _, out, _ = typist.types("policy", "explain", "привет")
    assert "cannot read it" in out


def test_measuring_with_and_without_it_shows_what_it_adds(typist: Typist) -> None:
    with_it, without = typist.measures(), typist.measures("--model", "off")
    assert with_it["operational"]["nudge_or_stronger"] == 2
    assert without["operational"]["nudge_or_stronger"] == 1
    assert with_it["by_rule"][OPERATIONAL]["operational"] == 1
    assert with_it["revision"] != without["revision"]
    digest = choose(typist.model).taking
    assert digest is not None
    assert with_it["model"] == {"digest": digest.digest, "asked": 4}
    assert without["model"] is None
    assert with_it.keys() == without.keys()


def test_of_concern_it_is_counted_and_refers_nobody_by_itself(typist: Typist) -> None:
    concern = typist.measures()["concern"]
    assert (concern["review_or_stronger"], concern["model_alone"]) == (0, 1)


def test_what_was_said_before_is_told_only_when_asked_for(typist: Typist) -> None:
    alone, told = typist.measures(), typist.measures("--context")
    assert told["misses"] == []
    assert alone["misses"] == ["3"]


def test_measuring_twice_finds_the_same(typist: Typist) -> None:
    first, second = typist.measures("--context"), typist.measures("--context")
    assert {**first, "messages_per_second": 0} == {**second, "messages_per_second": 0}


def test_a_corpus_with_something_else_before_is_refused(typist: Typist) -> None:
    path = typist.force.folder / "odd.jsonl"
    path.write_text('{"id": "1", "text": "x", "label": "social", "before": "y"}\n', "utf-8")
    code, _, err = typist.types("policy", "test", "--corpus", str(path))
    assert code == 3
    assert "odd.jsonl:1: 'before' is not a list of texts" in err


def test_a_changed_model_is_named_and_rules_go_on(typist: Typist) -> None:
    with (typist.model / "model.onnx").open("ab") as file:
        file.write(b"\x00")
    code, out, err = typist.types("policy", "explain", str(ROWS[4]["text"]))
    assert code == 0
    assert "redirect" in out
    assert "Without the language model" in err
    assert "model.onnx: it was changed" in err


def test_a_model_that_is_named_and_cannot_be_used_is_an_error(typist: Typist) -> None:
    nowhere = str(typist.force.folder / "nowhere")
    code, _, err = typist.types("policy", "explain", CORE, "--model", nowhere)
    assert code == 3
    assert "model.json: it cannot be read" in err


def test_checking_names_the_model_or_warns(typist: Typist) -> None:
    _, out, err = typist.types("check")
    assert "models/ours: good; tiny" in out
    assert "language model" not in err
    (typist.model / "tokenizer.json").write_text("{}", "utf-8")
    code, out, err = typist.types("check")
    assert code == 2
    assert "the language model is not used" in err.replace("\n", " ")
    assert "rules go on without it" in err


def test_the_configuration_may_name_one_or_none_and_else_the_shipped_one_is_it(
    typist: Typist,
) -> None:
    assert load_config(typist.force.config).model == typist.model
    typist.says("model: off")
    assert load_config(typist.force.config).model is None
    typist.says("# nothing")
    assert load_config(typist.force.config).model == SHIPPED
    typist.says("model: []")
    with pytest.raises(ConfigError, match="expected some text"):
        load_config(typist.force.config)


def test_how_it_is_doing_is_one_line(typist: Typist) -> None:
    chosen = choose(typist.model)
    assert chosen.model is not None
    policy = chosen.beside(shipped())
    digest = chosen.model.digest[:12]
    assert state_of(chosen, policy, None) == f"Language model tiny {digest} (enforce)"
    assert state_of(choose(None), shipped(), None) == "No language model takes part"
    refused = choose(POLICIES)
    said = state_of(refused, refused.beside(shipped()), None)
    assert said.startswith("The language model is not used: ")
    assert said.endswith("Rules go on without it")
