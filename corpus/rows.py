"""Reads the corpus: messages, voice cards, kinds, units, halves, second labels.

Never mends what it reads: whatever is not as README.md says becomes a sentence in a list of
problems, with file and line, and the line is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bridge.policy.corpus import Label

HERE = Path(__file__).parent
#: Of a message, in the order in which they are written.
KEYS = ("id", "text", "before", "label", "hard", "kinds", "why")
CARD_KEYS = ("name", "unit", "place", "nation", "age", "habits", "week")
MOST_BEFORE = 3


class Half(StrEnum):
    """What the messages of a voice may be used for."""

    TRAIN = "train"
    HELD = "held"


class Nation(StrEnum):
    """Where a voice serves."""

    ENGLAND = "England"
    NORTHERN_IRELAND = "Northern Ireland"
    SCOTLAND = "Scotland"
    WALES = "Wales"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message."""

    id: str
    voice: str
    text: str
    #: What was said just before it in the same conversation, oldest first.
    before: tuple[str, ...]
    label: Label
    hard: bool
    #: By their names in kinds.yaml, each once.
    kinds: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Who one voice is."""

    voice: str
    unit: str
    group: str
    nation: Nation
    age: int

    @property
    def hand(self) -> str:
        """The writer: the letter before the first hyphen."""
        return self.voice.split("-", 1)[0]


@dataclass(slots=True, kw_only=True)
class Corpus:
    """Everything that is in the folder, and what is wrong with it."""

    said: list[Said] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    halves: dict[str, Half] = field(default_factory=dict)
    second: dict[str, Label] = field(default_factory=dict)
    #: Messages with a mark that looks real, or like another's, that were looked at: id to reason.
    accepted: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def half(self, half: Half) -> list[Said]:
        """Give the messages of one half."""
        return [one for one in self.said if self.halves.get(one.voice) is half]


def read(folder: Path = HERE) -> Corpus:
    """Read the corpus in *folder*; what is not there yet is empty and not a problem here."""
    corpus = Corpus()
    names = _names(folder / "kinds.yaml", "kinds", corpus.problems)
    corpus.kinds = {kind: meant for kind, meant in names.items() if kind == meant}
    units = _names(folder / "units.yaml", "units", corpus.problems)
    _read_cards(folder / "voices", units, corpus)
    _read_messages(folder / "messages", names, corpus)
    _read_halves(folder / "split.yaml", corpus)
    corpus.accepted = dict(_yaml(folder / "accepted.yaml", corpus.problems))
    for number, row in rows_of(folder / "second_labels.jsonl", corpus.problems):
        if row.keys() != {"id", "label"} or row["label"] not in set(Label):
            corpus.problems.append(f"second_labels.jsonl:{number}: not an id and a label")
        elif row["id"] in corpus.second:
            corpus.problems.append(f"second_labels.jsonl:{number}: {row['id']} is there twice")
        else:
            corpus.second[row["id"]] = Label(row["label"])
    return corpus


def _yaml(path: Path, problems: list[str]) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as exc:
        problems.append(f"{path.name}: not YAML: {' '.join(str(exc).split())}")
        return {}
    if not isinstance(found, dict):
        problems.append(f"{path.name}: not a mapping")
        return {}
    return found


def rows_of(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the objects of a file of JSON lines with their line numbers; no file has none."""
    if not path.exists():
        return
    # Not splitlines(): a message may hold a line separator that JSON leaves as it is.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as exc:
            problems.append(f"{path.name}:{number}: not JSON: {exc}")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.append(f"{path.name}:{number}: not a JSON object")


def _names(path: Path, key: str, problems: list[str]) -> dict[str, str]:
    """Give what each name in a closed list means: itself, or the one that it is another word for.

    An entry is a name with `means` and, where writers used other words, `also`.
    """
    found: dict[str, str] = {}
    for name, told in _yaml(path, problems).get(key, {}).items():
        for word in (name, *told.get("also", ())):
            if word in found:
                problems.append(f"{path.name}: {word!r} is there twice")
            found[word] = name
    return found


def _read_cards(folder: Path, units: Mapping[str, str], corpus: Corpus) -> None:
    for path in sorted(folder.glob("*.yaml")):
        row = _yaml(path, corpus.problems)
        card = _card(path.stem, row, units)
        if isinstance(card, str):
            corpus.problems.append(f"voices/{path.name}: {card}")
        else:
            corpus.cards[card.voice] = card


def _card(voice: str, row: Mapping[str, Any], units: Mapping[str, str]) -> Card | str:
    """Give a voice card, or what is wrong with it."""
    if tuple(sorted(row)) != tuple(sorted(CARD_KEYS)):
        return f"has {', '.join(map(str, row))} and not {', '.join(CARD_KEYS)}"
    if not isinstance(row["age"], int) or not 18 <= row["age"] <= 75:
        return f"{row['age']!r} is no age of somebody at work"
    if not all(isinstance(row[key], str) and row[key] for key in CARD_KEYS if key != "age"):
        return "something other than the age is not a text"
    nation = next((one for one in Nation if one in row["nation"]), None)
    if nation is None:
        return f"{row['nation']!r} names no nation"
    group = next((units[word] for word in units if word in row["unit"].casefold()), None)
    if group is None:
        return f"the unit {row['unit']!r} belongs to no group in units.yaml"
    return Card(voice=voice, unit=row["unit"], group=group, nation=nation, age=row["age"])


def _read_messages(folder: Path, names: Mapping[str, str], corpus: Corpus) -> None:
    seen: set[str] = set()
    for path in sorted(folder.glob("*.jsonl")):
        for number, row in rows_of(path, corpus.problems):
            wrong = _wrong(path.stem, row, names)
            if not wrong and row["id"] in seen:
                wrong = f"the id {row['id']} is there twice"
            if wrong:
                corpus.problems.append(f"messages/{path.name}:{number}: {wrong}")
                continue
            seen.add(row["id"])
            corpus.said.append(_said(path.stem, row, names))


def _wrong(voice: str, row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Say what is wrong with one line; empty if nothing is."""
    if tuple(row) != KEYS:
        return f"has {', '.join(row)} and not {', '.join(KEYS)}"
    if not isinstance(row["id"], str) or not row["id"].startswith(f"{voice}-"):
        return f"the id {row['id']!r} does not begin with {voice}-"
    if not isinstance(row["text"], str) or not row["text"].strip():
        return "there is no text"
    if not _texts(row["before"]) or len(row["before"]) > MOST_BEFORE:
        return f"'before' is not a list of at most {MOST_BEFORE} texts"
    if row["label"] not in set(Label):
        return f"{row['label']!r} is not one of: {', '.join(Label)}"
    if not isinstance(row["hard"], bool):
        return "'hard' is neither true nor false"
    if not _texts(row["kinds"]) or not row["kinds"]:
        return "'kinds' is not a list of texts, or is empty"
    if unknown := [kind for kind in row["kinds"] if kind not in names]:
        return f"the kind {unknown[0]!r} is not in kinds.yaml"
    if not isinstance(row["why"], str) or not row["why"].strip():
        return "there is no reason"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value)


def _said(voice: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Said:
    return Said(
        id=row["id"],
        voice=voice,
        text=row["text"],
        before=tuple(row["before"]),
        label=Label(row["label"]),
        hard=row["hard"],
        kinds=tuple(dict.fromkeys(names[kind] for kind in row["kinds"])),
        why=row["why"],
    )


def _read_halves(path: Path, corpus: Corpus) -> None:
    told = _yaml(path, corpus.problems)
    for half in Half:
        for voice in told.get(half.value, ()):
            if voice in corpus.halves:
                corpus.problems.append(f"{path.name}: {voice} is in both halves, or twice in one")
            corpus.halves[voice] = half
