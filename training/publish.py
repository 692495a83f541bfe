"""Puts a model's folder together: files, labelled examples, manifest, card. The manifest last.

Never writes into the folder that the bot reads until the new one is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge.policy.corpus import Label
from training.data import Example

FORMAT = 2
NAME = "bluelamp-understand"
#: So many labelled examples of each label, for "reads like: ...".
EXAMPLES = {Label.OPERATIONAL: 360, Label.SOCIAL: 280, Label.CONCERN: 160}
_LONGEST = 160
_SHORTEST = 12
#: Kinds whose words name somebody or something: not for showing under other people's messages.
_NAMING = frozenset({"identifier", "registration", "phone", "person", "address", "reference"})
_TELLS = re.compile(r"\d{4}|\b[A-Z]{2}\d\d\b")
MOST_BYTES = 16_000_000


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def showable(one: Example) -> bool:
    """Whether *one* can stand by itself as an example: whole, short, naming nobody."""
    return (
        not one.before
        and not one.orphan
        and not _NAMING & set(one.kinds)
        and not _TELLS.search(one.text)
        and "\n" not in one.text
        and _SHORTEST <= len(one.text) <= _LONGEST
    )


def diverse(vectors: np.ndarray, count: int) -> list[int]:
    """Choose *count* that are far from each other: each next is the farthest from those before."""
    if not len(vectors):
        return []
    chosen = [int(np.argmax(vectors @ vectors.mean(0)))]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen


def shown_examples(
    some: Sequence[Example], vectors: np.ndarray, surely: Sequence[bool]
) -> tuple[list[Example], np.ndarray]:
    """Choose the examples to ship; *surely* is whether the model agrees with the label."""
    kept: list[int] = []
    for label, count in EXAMPLES.items():
        pool = [at for at, one in enumerate(some) if one.label is label and surely[at]]
        kept += [pool[at] for at in diverse(vectors[pool], count)]
    kept.sort()
    return [some[at] for at in kept], vectors[kept]


def write_examples(folder: Path, some: Sequence[Example], vectors: np.ndarray) -> None:
    """Write examples.jsonl and examples.npy: int8, 127 times the vectors of length 1."""
    lines = (
        json.dumps({"id": one.id, "label": str(one.label), "text": one.text}, ensure_ascii=False)
        for one in some
    )
    (folder / "examples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    np.save(folder / "examples.npy", np.round(vectors * 127).astype(np.int8))


def write_manifest(folder: Path, name: str, told: Mapping[str, Any]) -> None:
    """Write model.json over everything else that is in *folder*."""
    files = {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "model.json"
    }
    whole = {"format": FORMAT, "name": name, "files": files, **told}
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (folder / "model.json").write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST_BYTES:
        raise ValueError(f"the model's folder has {size} bytes, more than {MOST_BYTES}")


def replace(made: Path, place: Path) -> None:
    """Put the folder *made* in the place of *place*, in one go."""
    beside = place.with_name(place.name + ".new")
    old = place.with_name(place.name + ".old")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(made, beside)
    beside.chmod(0o755)
    if place.exists():
        place.rename(old)
    beside.rename(place)
    shutil.rmtree(old, ignore_errors=True)
