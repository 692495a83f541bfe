"""`bluelamp policy learn`, with a trainer that takes no hour."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.cli.learn import _ended_as_by_hand, _for_words
from bridge.cli.main import main
from bridge.config import load_config
from bridge.demo.force import Force, found
from bridge.facts import Adjudicated, Decided, Decision, Fact, Seen
from bridge.ledger.record import new_rid
from bridge.model import Action, Ms, Rid, RoomClass, UserId, Verdict
from bridge.policy.corpus import Label
from bridge.policy.learning import Ruled, Score, halves, why_not_better
from bridge.policy.meaning import OPERATIONAL
from bridge.records.consult import consultations
from bridge.running import app
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from bridge.understand.model import Model
from bridge.understand.talk import SAME_TALK_MS
from tests.making import say
from tests.unit.understand.tiny import tiny

TOP = Path(__file__).parents[2]
TRAINER = """#!{python}
import json, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.unit.understand.tiny import tiny
given = dict(zip(sys.argv[3::2], sys.argv[4::2]))
assert sys.argv[1:3] == ["-m", "training"]
from corpus.rows import read
read_back = read(Path(given["--corpus"]))
Path({seen!r}).write_text(json.dumps({{
    "problems": read_back.problems,
    "learned": [[one.text, one.label, list(one.kinds)] for one in read_back.said
                if one.voice == "force-adjudicated"],
    "half": read_back.halves.get("force-adjudicated"),
    "where": given["--corpus"],
}}))
if {fails}: raise SystemExit(5)
tiny(Path(given["--into"]), forgets={forgets!r})
"""


class School:
    """A force whose people have looked at what the bot did, and a trainer."""

    def __init__(self, force: Force, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.force, self.folder, self.capsys = force, folder, capsys
        self.seen, self.into = folder / "seen.json", folder / "models" / "new"
        config = force.config.read_text("utf-8")
        force.config.write_text(f"model: {tiny(folder / 'old', forgets='cell')}\n{config}", "utf-8")
        self.corpus = self._corpus()

    def _corpus(self) -> Path:
        """The closed lists of ours, with two voices of one message each."""
        place = self.folder / "corpus"
        (place / "voices").mkdir(parents=True)
        (place / "messages").mkdir()
        for name in ("kinds.yaml", "units.yaml"):
            (place / name).write_text((TOP / "corpus" / name).read_text("utf-8"), "utf-8")
        card = (TOP / "corpus" / "voices" / "a-alec-inspector.yaml").read_text("utf-8")
        for voice in ("a-one", "b-two"):
            (place / "voices" / f"{voice}.yaml").write_text(card, "utf-8")
            rows = [
                {"id": f"{voice}-{n}", "text": text, "before": [], "label": label, "hard": False,
                 "kinds": ["names-nothing"], "why": "x"}
                for n, (text, label) in enumerate([("got him", "operational"), ("milk", "social")])
            ]  # fmt: skip
            lines = "\n".join(map(json.dumps, rows))
            (place / "messages" / f"{voice}.jsonl").write_text(lines, "utf-8")
        (place / "split.yaml").write_text("# x\ntrain:\n- a-one\nheld:\n- b-two\n", "utf-8")
        return place

    def trainer(self, *, forgets: str = "", fails: bool = False) -> Path:
        path = self.folder / "trainer"
        said = TRAINER.format(
            python=sys.executable, seen=str(self.seen), forgets=forgets, fails=fails
        )
        path.write_text(said, "utf-8")
        path.chmod(0o700)
        return path

    def learns(self, trainer: Path) -> tuple[int, str]:
        force = self.force
        code = main([
            "-c", str(force.config), "policy", "learn", "--into", str(self.into), "--from",
            "2020-01-01", "--purpose", "a model of our own", "--corpus", str(self.corpus),
            "--trainer", str(trainer), "--vault", str(force.vault), "--share", str(force.share),
            "--passphrase-file", str(force.passphrase),
        ])  # fmt: skip
        out, err = self.capsys.readouterr()
        return code, out + err

    def remembers(self, people: int, each: int) -> list[Ruled]:
        """Nudged messages of so many people; those about a cell were rightly nudged."""
        config = load_config(self.force.config)
        parts = app.check(config)
        facts: list[Fact] = []
        ruled: list[Ruled] = []
        for number in range(people * each):
            sender = UserId(f"@officer{number % people}:force.example")
            job = number // people % 2 == 0
            text = "i left the cell" if job else "i left the bed"
            at = Ms(app.now() - 2 * SAME_TALK_MS * (people * each - number))
            facts += self._looked_at(f"${number}", sender, text, at, job=job)
            label = Label.OPERATIONAL if job else Label.SOCIAL
            ruled.append(Ruled(sender=sender, text=text, before=(), label=label))

        async def append() -> None:
            store = SqliteStore(config.ledger, parts.identity, app.now, anchor=config.anchor)
            verdicts: dict[str, Rid] = {}
            for fact in facts:
                if isinstance(fact, Adjudicated):
                    known = await store.known([fact.record])  # type: ignore[list-item]
                    verdicts[fact.record] = next(iter(known.values())).rid
                    fact = replace(fact, record=verdicts[fact.record])  # noqa: PLW2901
                await store.append([fact])
            await store.checkpoint()
            await store.close()

        asyncio.run(append())
        return ruled

    def _looked_at(self, event: str, sender: UserId, text: str, at: Ms, *, job: bool) -> list[Fact]:
        message = replace(
            say(event, text, sender=sender, at=at),
            content=json.dumps({"body": text, "msgtype": "m.text"}).encode(),
        )
        verdict = Verdict(
            action=Action.NUDGE, rule=OPERATIONAL, reason="it reads like talk", revision="r" * 64
        )
        decision = Decision.ACTION_STANDS if job else Decision.FALSE_POSITIVE
        ruling = Adjudicated(
            record=Rid(event), rule=OPERATIONAL, action=Action.NUDGE, decision=decision, by="@anna"
        )
        return [
            Seen(message=message, cls=RoomClass.SOCIAL, rid=new_rid()),
            Decided(message=message, cls=RoomClass.SOCIAL, verdict=verdict),
            ruling,
        ]


@pytest.fixture
def school(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> School:
    return School(found(tmp_path / "force", "http://127.0.0.1:9"), tmp_path, capsys)


@pytest.fixture(autouse=True)
def costs_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.policy.load.probe_costs", lambda *_: None)


def test_a_model_that_is_better_on_both_samples_is_taken(school: School) -> None:
    ruled = school.remembers(20, 6)
    code, said = school.learns(school.trainer())
    assert code == 0, said
    assert "people have found something about 120 messages" in said
    assert f"model: {school.into}" in said
    assert Model.load(school.into).name == "tiny"
    seen = json.loads(school.seen.read_text("utf-8"))
    learned, measured = halves(ruled)
    assert seen["problems"] == []
    assert seen["half"] == "train"
    assert len(seen["learned"]) == len(learned)
    assert len(measured) >= 50
    assert {(text, label) for text, label, _ in seen["learned"]} == {
        ("i left the cell", "operational"), ("i left the bed", "social")
    }  # fmt: skip
    assert all(kinds == ["identifier"] for _, _, kinds in seen["learned"]), "never shown"
    assert not Path(seen["where"]).exists(), "the words are gone"
    reader = SqliteReader(consultations(load_config(school.force.config)))
    views = [row.header for row in reader.rows() if b'"kind":"view"' in row.header]
    reader.close()
    assert len(views) == 1, "the look is on record"
    assert "i left the cell" not in said


def test_a_model_that_is_no_better_on_our_own_sample_is_not_taken(school: School) -> None:
    school.remembers(20, 6)
    code, said = school.learns(school.trainer(forgets="cell"))
    assert code == 1
    assert "your sample: it tells the two apart no better" in said
    assert not school.into.exists()


def test_a_model_that_is_worse_on_the_held_half_is_not_taken(school: School) -> None:
    school.remembers(20, 6)
    worse = school.trainer(forgets="got")
    held = school.corpus / "messages" / "b-two.jsonl"
    rows = [json.loads(line) for line in held.read_text("utf-8").split("\n")]
    rows[0]["text"], rows[1]["text"] = "got", "i"
    held.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    code, said = school.learns(worse)
    assert code == 1
    assert "held half: it tells the two apart no better" in said
    assert not school.into.exists()


def test_a_model_that_finds_nothing_is_not_taken_for_flagging_nothing() -> None:
    old = Score(order=0.80, recall=0.6, flagged=0.02)
    deaf = Score(order=0.85, recall=0.0, flagged=0.0)
    (said,) = why_not_better(deaf, old, "held half", strictly=False)
    assert said == "held half: it finds less of what it should (0.0 %, 60.0 %)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_order_to_end_leaves_no_words_behind(number: signal.Signals) -> None:
    places: list[Path] = []

    def trains() -> None:
        with _ended_as_by_hand(), _for_words() as folder:
            places.append(Path(folder))
            (places[0] / "words").write_text("i left the cell", "utf-8")
            os.kill(os.getpid(), number)
            time.sleep(60)

    before = signal.signal(number, signal.SIG_DFL)  # under nohup a hangup means nothing
    try:
        with pytest.raises(SystemExit):
            trains()
    finally:
        signal.signal(number, before)
    assert not places[0].exists()


def test_what_a_killed_process_left_goes_before_the_next() -> None:
    with _for_words() as folder:
        left = Path(folder).with_name("bluelamp-learn-4194304-left")
        left.mkdir()
        (left / "words").write_text("i left the cell", "utf-8")
        with _for_words() as other:
            assert Path(folder).exists(), "another that runs"
            assert other != folder
        assert not left.exists()


def test_a_place_where_nothing_can_be_put_is_said_before_anything_is_opened(school: School) -> None:
    (school.folder / "file").write_text("x", "utf-8")
    school.into = school.folder / "file" / "models" / "new"
    code, said = school.learns(school.trainer())
    assert code == 3
    assert "nothing can be put there" in said
    assert not consultations(load_config(school.force.config)).exists()


def test_too_few_findings_train_nothing(school: School) -> None:
    school.remembers(4, 4)
    code, said = school.learns(school.trainer())
    assert code == 1
    assert "Too few to learn from" in said
    assert not school.seen.exists()


def test_training_that_fails_leaves_nothing(school: School) -> None:
    school.remembers(20, 6)
    code, said = school.learns(school.trainer(fails=True))
    assert code == 3
    assert "Training ended with 5" in said
    assert not school.into.exists()


def test_what_is_not_there_is_said_before_anything_is_opened(school: School) -> None:
    code, said = school.learns(school.folder / "no-trainer")
    assert code == 3
    assert "'make model' sets up" in said
    school.into.mkdir(parents=True)
    assert "a new model gets a folder of its own" in school.learns(school.trainer())[1]
    assert not consultations(load_config(school.force.config)).exists()
