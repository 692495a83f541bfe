"""Measures what is shipped, and writes benchmarks/results/accuracy.json and its picture.

Never changes the model, its thresholds or its calibration by what it finds.

Usage: python -m training.accuracy [--model FOLDER] [--whole FILE]

What is measured on is the held half of the corpus, and where they are at hand two things that are
no part of the project: labelled messages by other writers, and real text messages that nobody here
wrote. Neither is learned from.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from bridge.config import load_policies
from bridge.model import Action, Queue, RoomClass
from bridge.policy.corpus import Label, read_corpus
from bridge.policy.measure import as_message
from bridge.understand.model import Belief
from bridge.understand.shipped import NETWORK, SHIPPED, WORDING
from bridge.understand.wording import Wording
from bridge.way.understood import choose
from corpus.rows import Half, read
from training.data import Example, examples, learnable
from training.export import runner
from training.fit import ask, reader
from training.judging import HEADS, texts_of, where
from training.measures import (
    SHARES,
    Platt,
    calibration_error,
    recall_at,
    reliability,
    share_of,
    threshold,
)
from training.picture import picture
from training.rivals import Judge, Rival, frozen, milliseconds, ngrams, rules, static
from training.worded import beside

TOP = Path(__file__).parent.parent
WHOLE = TOP / "build" / "whole.onnx"
#: What the simpler judges were found to do; it changes with the corpus alone.
SIMPLER = TOP / "build" / "rivals.json"
RESULTS = TOP / "benchmarks" / "results"
_SHARED = Path(os.environ.get("BLUELAMP_SHARED", TOP.parent / "shared"))
#: Labelled messages by other writers, no part of the project.
OTHERS = _SHARED / "corpus" / "dev.jsonl"
#: Thresholds at which everything is told, by their names in model.json.
TOLD = ("2%", "0.5%")
#: A kind of fewer messages is not told: its interval would say nothing.
_FEWEST = 15
_CURVE = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2)


class Judged:
    """Messages with what the model makes of them, as calibrated chances."""

    def __init__(self, some: Sequence[Example], chances: np.ndarray) -> None:
        """Take *chances* [messages, 2] of *some*."""
        self.some, self.chances = some, chances

    def where(self, fits: Callable[[Example], bool]) -> np.ndarray:
        """Say which messages fit."""
        return np.array([fits(one) for one in self.some])

    def of(self, label: Label, head: int, *, hard: bool = False) -> np.ndarray:
        """Give one head's chances of the messages of a label."""
        return self.chances[
            self.where(lambda one: one.label is label and (one.hard or not hard)), head
        ]

    def recalls(self) -> dict[str, Any]:
        """Give recall at shares of hard social messages flagged, and of concern taken for such."""
        hard = [self.of(Label.SOCIAL, head, hard=True) for head in range(2)]
        operational, concern = self.of(Label.OPERATIONAL, 0), self.of(Label.CONCERN, 1)
        return {
            "operational": [round(recall_at(operational, hard[0], share), 3) for share in SHARES],
            "concern": [round(recall_at(concern, hard[1], share), 3) for share in SHARES],
        }

    def at(self, limits: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """Give shares flagged at the thresholds that were found on the train half."""
        told: dict[str, Any] = {}
        for name in TOLD:
            flagged = self.chances[:, 0] >= limits["operational"][name]
            doubted = self.chances[:, 1] >= limits["concern"][name]
            told[name] = {
                "operational": self._shares(flagged),
                "concern": self._shares(doubted),
            }
        return told

    def _shares(self, flags: np.ndarray) -> dict[str, Any]:
        groups: dict[str, Callable[[Example], bool]] = {
            "operational": lambda one: one.label is Label.OPERATIONAL,
            "operational, hard": lambda one: one.label is Label.OPERATIONAL and one.hard,
            "operational, easy": lambda one: one.label is Label.OPERATIONAL and not one.hard,
            "social": lambda one: one.label is Label.SOCIAL,
            "social, hard": lambda one: one.label is Label.SOCIAL and one.hard,
            "social, easy": lambda one: one.label is Label.SOCIAL and not one.hard,
            "concern": lambda one: one.label is Label.CONCERN,
        }
        return {name: share_of(flags[self.where(fits)]) for name, fits in groups.items()}

    def by_kind(self, label: Label, flags: np.ndarray) -> dict[str, Any]:
        """Give the share flagged of each kind of one label, the most frequent kind first."""
        kinds: dict[str, list[bool]] = {}
        for one, flag in zip(self.some, flags, strict=True):
            for kind in one.kinds if one.label is label else ():
                kinds.setdefault(kind, []).append(bool(flag))
        often = sorted(kinds.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        return {kind: share_of(found) for kind, found in often if len(found) >= _FEWEST}

    def by(self, key: Callable[[Example], str], flags: np.ndarray) -> dict[str, Any]:
        """Give for groups the share of operational found and of hard social flagged."""
        told = {}
        for name in sorted({key(one) for one in self.some}):
            inside = self.where(lambda one, name=name: key(one) == name)  # type: ignore[misc]
            found = inside & self.where(lambda one: one.label is Label.OPERATIONAL)
            wrong = inside & self.where(lambda one: one.label is Label.SOCIAL and one.hard)
            told[name] = {"found": share_of(flags[found]), "wrong": share_of(flags[wrong])}
        return told


class Shipped:
    """The shipped model, or another of its form."""

    def __init__(self, folder: Path) -> None:
        """Open what is in *folder*."""
        self.told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.read = reader(tokenizer, self.told["max_tokens"])
        self.limits: dict[str, dict[str, float]] = self.told["thresholds"]
        self.lines = [Platt(**self.told["calibration"][head]) for head in HEADS]
        self.wording = Wording.read((folder / WORDING).read_bytes())
        self.size_alone = (folder / NETWORK).stat().st_size
        self.size = self.size_alone + (folder / WORDING).stat().st_size
        self._run = runner(folder / NETWORK)

    def logits_alone(self, some: Sequence[Example]) -> np.ndarray:
        """Ask the network."""
        return ask(self._run, self.read, texts_of(some))[0]

    def logits(self, some: Sequence[Example]) -> np.ndarray:
        """Ask it, with its wording."""
        return self.logits_alone(some) + beside(self.wording, some)

    def judged(self, some: Sequence[Example]) -> Judged:
        """Ask it, and calibrate what it says."""
        logits = self.logits(some)
        chances = [line(logits[:, at]) for at, line in enumerate(self.lines)]
        return Judged(some, np.stack(chances, axis=1))


def again(one: Example, *, text: str | None = None, before: Iterable[str] = ()) -> Example:
    """Give *one* with other words, or with other things said before it."""
    return Example(
        id=one.id,
        voice=one.voice,
        text=one.text if text is None else text,
        before=tuple(before),
        label=one.label,
        hard=one.hard,
        kinds=one.kinds,
    )


def strangers(some: Sequence[Example]) -> list[Example]:
    """Put two social messages of another voice before each, before what belongs to it."""
    chance = random.Random(3)  # noqa: S311 - no secret
    social = [one for one in some if one.label is Label.SOCIAL]
    told = []
    for one in some:
        pool = [other for other in chance.sample(social, 6) if other.voice != one.voice]
        told.append(again(one, before=(*(other.text for other in pool[:2]), *one.before)[-3:]))
    return told


def others(path: Path) -> list[Example]:
    """Read labelled messages by other writers."""
    rows = read_corpus(path.read_text(encoding="utf-8"), path.name)
    return [
        Example(
            id=one.id,
            voice="x",
            text=one.text,
            before=(),
            label=one.label,
            hard=one.label is not Label.SOCIAL or "hard_negative" in one.tags,
            kinds=one.tags,
        )
        for one in rows
    ]


def real(model: Shipped) -> dict[str, Any] | None:
    """Say how many real text messages are flagged."""
    path = _SHARED / "data" / "uci_sms_ham.txt"
    if not path.exists():
        return None
    texts = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    some = [
        Example(id=str(at), voice="x", text=text, before=(), label=Label.SOCIAL, hard=False)
        for at, text in enumerate(texts)
    ]
    judged = model.judged(some)
    told: dict[str, Any] = {"messages": len(some)}
    for name, limits in ((name, model.limits) for name in TOLD):
        told[name] = {
            head: share_of(judged.chances[:, at] >= limits[head][name])
            for at, head in enumerate(HEADS)
        }
    ordered = np.sort(judged.chances[:, 0])[::-1]
    told["threshold of 1 in 1,000"] = round(float(ordered[len(ordered) // 1_000]), 4)
    return told


def curve(judged: Judged, head: int, label: Label) -> list[dict[str, Any]]:
    """Give recall with its interval at many shares of hard social messages flagged."""
    hard, wished = judged.of(Label.SOCIAL, head, hard=True), judged.of(label, head)
    return [{"flagged": share, **share_of(wished > threshold(hard, share))} for share in _CURVE]


def with_rules(folder: Path, judged: Judged) -> dict[str, Any]:
    """Say what the shipped policy does, without the model and with it, in a social room.

    For the rules each message stands by itself: no signs of earlier messages count.
    """
    chosen = choose(folder)
    if chosen.model is None:
        raise SystemExit(chosen.refused)
    policy = chosen.beside(load_policies(TOP / "policies", clock=None).with_conduct())
    some = judged.some
    beliefs = [Belief(operational=float(p), concern=float(q)) for p, q in judged.chances]
    verdicts = {
        "rules": [policy.judge(as_message(one.text), RoomClass.SOCIAL) for one in some],
        "rules and model": [
            policy.judge(as_message(one.text), RoomClass.SOCIAL, belief=belief)
            for one, belief in zip(some, beliefs, strict=True)
        ],
    }
    told: dict[str, Any] = {}
    for who, found in verdicts.items():
        nudged = np.array([one.action >= Action.NUDGE for one in found])
        moved = np.array([one.action > Action.NUDGE for one in found])
        referred = np.array([Queue.PROFESSIONAL_STANDARDS in one.referrals for one in found])
        hard = where(some, Label.SOCIAL, hard=True)
        told[who] = {
            "operational, nudged or moved": share_of(nudged[where(some, Label.OPERATIONAL)]),
            "operational, moved": share_of(moved[where(some, Label.OPERATIONAL)]),
            "hard social, nudged or moved": share_of(nudged[hard]),
            "hard social, moved": share_of(moved[hard]),
            "concern, referred": share_of(referred[where(some, Label.CONCERN)]),
            "hard social, referred": share_of(referred[hard]),
        }
    return told


def rivals(model: Shipped, held: Sequence[Example], whole: Path) -> list[dict[str, Any]]:
    """Measure rules, simpler judges (once for each corpus), and the model before it was small."""
    kept = {"corpus": model.told["corpus"], "rivals": []}
    if SIMPLER.exists():
        found = json.loads(SIMPLER.read_text(encoding="utf-8"))
        kept = found if found["corpus"] == kept["corpus"] else kept
    if not kept["rivals"]:
        kept["rivals"] = [_measured(one, held) for one in _simpler(model)]
        SIMPLER.parent.mkdir(exist_ok=True)
        SIMPLER.write_text(json.dumps(kept), encoding="utf-8")
    judges = []
    others_made = {"as taught": whole, "eight bits, static": whole.with_name("static.onnx")}
    for name, path in others_made.items():
        if path.exists():
            judge = _by(runner(path), model)
            judges.append(Rival(f"fine-tuned, {name}", judge, path.stat().st_size))
    judges.append(Rival("fine-tuned, eight bits", model.logits_alone, model.size_alone))
    judges.append(Rival("fine-tuned, eight bits, with wording: shipped", model.logits, model.size))
    folder = TOP / "policies"
    size = sum(path.stat().st_size for path in folder.rglob("*.yaml"))
    judges.insert(0, rules(load_policies(folder, clock=None), size))
    found = [_measured(one, held) for one in judges]
    return [found[0], *kept["rivals"], *found[1:]]


def _simpler(model: Shipped) -> Iterator[Rival]:
    train = learnable(examples(read(), Half.TRAIN))
    yield ngrams(train)
    yield static(train, model.read)
    yield frozen(train, model.read, model.size)


def _measured(one: Rival, held: Sequence[Example]) -> dict[str, Any]:
    found = Judged(held, one.judge(held)).recalls()
    if OTHERS.exists():
        other = others(OTHERS)
        found["other writers"] = Judged(other, one.judge(other)).recalls()["operational"]
    ms = milliseconds(one.judge, held)
    print(one.name, found, round(ms, 2), flush=True)
    return {"name": one.name, **found, "bytes": one.bytes_, "ms": round(ms, 2)}


def _by(run: Any, model: Shipped) -> Judge:
    def judge(some: Sequence[Example]) -> np.ndarray:
        return ask(run, model.read, texts_of(some))[0]

    return judge


def measured(
    folder: Path, model: Shipped, held: Sequence[Example], groups: Mapping[str, str]
) -> dict[str, Any]:
    """Measure everything that needs the model alone."""
    judged = model.judged(held)
    limits = model.limits
    flags = {name: judged.chances[:, 0] >= limits["operational"][name] for name in TOLD}
    doubts = judged.chances[:, 1] >= limits["concern"]["2%"]
    whole = [not one.orphan for one in held]
    apart = judged.where(lambda one: one.label is not Label.CONCERN)
    operational = np.array([one.wishes[0] for one in held])
    concern = np.array([one.wishes[1] for one in held])
    told_before = judged.where(lambda one: bool(one.before))
    alone = judged.chances.copy()
    alone[told_before] = model.judged([again(one) for one in held if one.before]).chances
    with_before = [one for one in held if one.before]
    return {
        "decided": with_rules(folder, judged),
        "model": model.told["files"]["model.onnx"],
        "corpus": model.told["corpus"],
        "held": {
            "messages": len(held),
            "recalls": judged.recalls(),
            "at": judged.at(limits),
            "without orphans": Judged(
                [one for one, keep in zip(held, whole, strict=True) if keep],
                judged.chances[np.array(whole)],
            ).at(limits),
            "curve": {
                "operational": curve(judged, 0, Label.OPERATIONAL),
                "concern": curve(judged, 1, Label.CONCERN),
            },
            "kinds": {
                "operational": judged.by_kind(Label.OPERATIONAL, flags["2%"]),
                "social": judged.by_kind(Label.SOCIAL, flags["2%"]),
                "concern": judged.by_kind(Label.CONCERN, doubts),
                "social taken for concern": judged.by_kind(Label.SOCIAL, doubts),
            },
            "units": judged.by(lambda one: groups[one.voice], flags["2%"]),
            "hands": judged.by(lambda one: one.hand, flags["2%"]),
            "reliability": {
                "operational": reliability(judged.chances[apart, 0], operational[apart]),
                "concern": reliability(judged.chances[:, 1], concern),
                "error": {
                    "operational": round(
                        calibration_error(judged.chances[apart, 0], operational[apart]), 4
                    ),
                    "concern": round(calibration_error(judged.chances[:, 1], concern), 4),
                },
            },
        },
        "before": {
            "messages": len(with_before),
            "with what was said before": Judged(with_before, judged.chances[told_before]).at(
                limits
            ),
            "without it": Judged(with_before, alone[told_before]).at(limits),
            "all, without anything before": Judged(held, alone).at(limits),
            "all, with strangers' words before": model.judged(strangers(held)).at(limits),
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--whole", type=Path, default=WHOLE)
    given = parser.parse_args(arguments)
    model = Shipped(given.model)
    corpus = read()
    held = examples(corpus, Half.HELD)
    told = measured(
        given.model, model, held, {voice: card.group for voice, card in corpus.cards.items()}
    )
    told["real messages"] = real(model)
    if OTHERS.exists():
        judged = model.judged(others(OTHERS))
        told["other writers"] = {"recalls": judged.recalls(), "at": judged.at(model.limits)}
    told["rivals"] = rivals(model, held, given.whole)
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "accuracy.json").write_text(text, encoding="utf-8")
    (RESULTS / "accuracy.svg").write_text(picture(told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
