"""From the corpus to what is learned and what is measured.

Never lets a message of the held half into what is learned.

A message has a wish for each of the two heads (1, 0) and a weight for it. What is of concern may be
operational as well, and only one label was given: for the operational head it weighs little. A
fragment whose earlier messages are missing cannot be judged from what is there, and is not learned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.policy.corpus import Label
from corpus.rows import Corpus, Half, Said

#: What a message of concern weighs as one that is not operational.
WEIGHT_OF_CONCERN = 0.3
#: What a hard social message weighs: false alarms are what keeps people from using this.
WEIGHT_OF_HARD_SOCIAL = 1.5
#: There are few messages of concern; each weighs so much for its own head.
WEIGHT_FOR_CONCERN = 3.0
#: What an ordinary message between people who are no police weighs.
WEIGHT_OF_ORDINARY = 1.5
ORDINARY = Path(__file__).parent / "ordinary.txt"
#: Stands for a writer; never left out to find thresholds, for it has no hard ones.
_NO_HAND = "ordinary"
#: People of a force, as `bluelamp policy learn` calls them. Never left out either: what they found
#: wrong was flagged first, and thresholds that are found on false alarms would flag nothing.
OWN_HAND = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One message as it is learned or measured."""

    id: str
    voice: str
    text: str
    before: tuple[str, ...]
    label: Label
    hard: bool
    kinds: tuple[str, ...] = ()

    @property
    def hand(self) -> str:
        """The writer: the letter before the first hyphen."""
        return self.voice.split("-", 1)[0]

    @property
    def orphan(self) -> bool:
        """Whether it is a fragment without what it is a fragment of."""
        return "fragment" in self.kinds and not self.before

    @property
    def wishes(self) -> tuple[float, float]:
        """What is wished of the two heads: operational, concern."""
        return float(self.label is Label.OPERATIONAL), float(self.label is Label.CONCERN)

    @property
    def weights(self) -> tuple[float, float]:
        """What the two wishes weigh."""
        if self.label is Label.CONCERN:
            return WEIGHT_OF_CONCERN, WEIGHT_FOR_CONCERN
        if self.hand == _NO_HAND:
            return WEIGHT_OF_ORDINARY, WEIGHT_OF_ORDINARY
        if self.label is Label.SOCIAL and self.hard:
            return WEIGHT_OF_HARD_SOCIAL, 1.0
        return 1.0, 1.0


def examples(corpus: Corpus, half: Half) -> list[Example]:
    """Give one half, in the order of the files."""
    return [_example(said) for said in corpus.half(half)]


def _example(said: Said) -> Example:
    return Example(
        id=said.id,
        voice=said.voice,
        text=said.text,
        before=said.before,
        label=said.label,
        hard=said.hard,
        kinds=said.kinds,
    )


def ordinary(path: Path = ORDINARY) -> list[Example]:
    """Give the ordinary messages, which stand beside the train half and are all social."""
    lines = path.read_text(encoding="utf-8").split("\n")
    texts = [line for line in lines if line and not line.startswith("#")]
    return [
        Example(
            id=f"{_NO_HAND}-{at:03}",
            voice=f"{_NO_HAND}-{at:03}",
            text=text,
            before=(),
            label=Label.SOCIAL,
            hard=False,
        )
        for at, text in enumerate(texts)
    ]


def learnable(some: Iterable[Example]) -> list[Example]:
    """Leave out what cannot be judged from what is there."""
    return [one for one in some if not one.orphan]


def folds(some: Sequence[Example], *, by: str, count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Divide by `voice` or by `hand`: where to learn and where to measure, for each fold."""
    keys = [one.hand if by == "hand" else one.voice for one in some]
    order = {key: place % count for place, key in enumerate(_mixed({*keys} - {OWN_HAND}))}
    for fold in range(count):
        inside = [at for at, key in enumerate(keys) if order.get(key) != fold]
        yield inside, [at for at, key in enumerate(keys) if order.get(key) == fold]


def _mixed(keys: Iterable[str]) -> list[str]:
    """Order *keys* as chance would, the same on every machine."""
    return sorted(keys, key=lambda key: hashlib.sha256(key.encode()).digest())


def digest(corpus: Corpus) -> str:
    """Name what is in the corpus: SHA-256 of its messages and halves, in order of id."""
    told = hashlib.sha256()
    for one in sorted(corpus.said, key=lambda said: said.id):
        half = corpus.halves.get(one.voice, "")
        row = [one.id, half, one.text, list(one.before), one.label, one.hard, list(one.kinds)]
        told.update(msgspec.json.encode(row) + b"\n")
    return told.hexdigest()
