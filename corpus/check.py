"""Checks the corpus: lines, voices, halves, copies, marks, second labels, tables in README.md.

Never changes a message or a label.

Usage: python -m corpus.check              say what is wrong; 1 if anything is
       python -m corpus.check --renew      first give new voices a half, and README.md its tables
       python -m corpus.check --flat FILE  print one file as `bluelamp policy test` reads it
       python -m corpus.check --half held  print a whole half in the same way
       … --half held --before              with what was said before each: `policy test --context`
       python -m corpus.check --unread     print what a second reader is still to read, unlabelled
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import yaml

from bridge.policy.corpus import Label, read_corpus
from corpus.agreement import ONE_IN, agreement, sample
from corpus.alike import alike, fold
from corpus.counts import in_readme, renewed, tables
from corpus.halves import HELD, divide, traits
from corpus.marks import phones, plates
from corpus.rows import HERE, Corpus, Half, Said, read, rows_of

#: Labelled messages that somebody else wrote, of which nothing may be here.
OTHERS = (
    HERE.parent / "tests" / "corpus" / "sample.jsonl",
    HERE.parent / "tests" / "corpus" / "references.jsonl",
    HERE.parent / "tests" / "corpus" / "shift.jsonl",
    HERE.parent / "tests" / "corpus" / "beat.jsonl",
    HERE.parent / "tests" / "corpus" / "ward.jsonl",
    HERE.parent / "tests" / "corpus" / "unseen.jsonl",
    HERE.parent / "tests" / "corpus" / "strangers.jsonl",
    HERE.parent / "tests" / "corpus" / "newest.jsonl",
)
#: How far the held half's share of messages, and of each label, may be from `HELD`.
LOOSE = 0.03
_PROPOSAL = {"id", "label", "second", "propose", "reason"}


def problems(corpus: Corpus, others: Mapping[str, str]) -> Iterator[str]:
    """Say everything that is wrong; *others* are texts by name that must not be here."""
    yield from corpus.problems
    yield from _voices(corpus)
    yield from _halves(corpus)
    yield from _copies(corpus, others)
    yield from _marks(corpus)
    yield from _second(corpus)


def _voices(corpus: Corpus) -> Iterator[str]:
    speaking = {one.voice for one in corpus.said}
    for voice in sorted(speaking - corpus.cards.keys()):
        yield f"{voice} has messages and no card"
    for voice in sorted(corpus.cards.keys() - speaking):
        yield f"{voice} has a card and no messages"
    unused = corpus.kinds.keys() - {kind for one in corpus.said for kind in one.kinds}
    for kind in sorted(unused):
        yield f"kinds.yaml: no message is of the kind {kind!r}"


def _halves(corpus: Corpus) -> Iterator[str]:
    voices = corpus.cards.keys()
    for voice in sorted(voices - corpus.halves.keys()):
        yield f"split.yaml: {voice} is in neither half"
    for voice in sorted(corpus.halves.keys() - voices):
        yield f"split.yaml: {voice} is no voice"
    held = corpus.half(Half.HELD)
    for label in Label:
        whole = sum(one.label is label for one in corpus.said)
        share = sum(one.label is label for one in held) / whole if whole else 0
        if abs(share - HELD) > LOOSE:
            yield f"split.yaml: {share:.3f} of the {label} messages are held, not about {HELD}"


def _copies(corpus: Corpus, others: Mapping[str, str]) -> Iterator[str]:
    """Find copies: a line twice in one conversation, or nearly the same line by two voices.

    One voice may say the same after other words: what it means then is for the model to learn.
    """
    seen: dict[tuple[str, ...], str] = {}
    for one in corpus.said:
        first = seen.setdefault((one.voice, *map(fold, (one.text, *one.before))), one.id)
        if first != one.id:
            yield f"{one.id} says the same as {first}, after the same"
    yield from _near_copies(corpus, others)


def _near_copies(corpus: Corpus, others: Mapping[str, str]) -> Iterator[str]:
    owners, texts = _documents(corpus, others)
    for likeness, *keys in alike(texts):
        # Ours first.
        one, other = sorted(keys, key=lambda key: (not owners[key][1], owners[key]))
        (voice, name), (other_voice, other_name) = owners[one], owners[other]
        # Two lines of one voice, or two that are not ours.
        if voice == other_voice:
            continue
        apart = bool(other_name) and corpus.halves.get(voice) is not corpus.halves.get(other_voice)
        if {name, other_name} & corpus.accepted.keys() and not apart:
            continue
        what = "a leak between the halves" if apart else "a copy"
        yield f"{name} and {other_name or other} are alike by {likeness:.2f}: {what}"


def _documents(
    corpus: Corpus, others: Mapping[str, str]
) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Give every line that somebody says, once for each voice: its (voice, id), and its text.

    What others wrote belongs to nobody, and has no id.
    """
    owners: dict[str, tuple[str, str]] = {}
    texts: dict[str, str] = {}
    for one in corpus.said:
        for text in (one.text, *one.before):
            key = f"{one.voice}\0{fold(text)}"
            owners.setdefault(key, (one.voice, one.id))
            texts.setdefault(key, text)
    for name, text in others.items():
        owners[name] = ("", "")
        texts[name] = text
    return owners, texts


def _marks(corpus: Corpus) -> Iterator[str]:
    found = {
        one.id: mark
        for one in corpus.said
        for text in (one.text, *one.before)
        for mark in (*phones(text), *plates(text))
    }
    for name, mark in found.items():
        if name not in corpus.accepted:
            yield f"{name}: {mark} could be somebody's"
    for name in sorted(corpus.accepted.keys() - {one.id for one in corpus.said}):
        yield f"accepted.yaml: there is no message {name}"


def _second(corpus: Corpus) -> Iterator[str]:
    ids = {one.id for one in corpus.said}
    for name in sorted(corpus.second.keys() - ids):
        yield f"second_labels.jsonl: there is no message {name}"
    # Voices are drawn by themselves, and each tenth is rounded.
    wanted = len(corpus.said) / ONE_IN - len(corpus.cards) / 2
    if len(corpus.second) < wanted:
        yield f"second_labels.jsonl: {len(corpus.second)} labels are less than a tenth"


def disputes(corpus: Corpus, folder: Path = HERE) -> Iterator[str]:
    """Hold disputed.jsonl to the labels: each proposal is open, and each is about a difference."""
    apart = {
        name: (first, second) for name, first, second in agreement(corpus.said, corpus.second).apart
    }
    told: set[str] = set()
    unread: list[str] = []
    for number, row in rows_of(folder / "disputed.jsonl", unread):
        if row.keys() != _PROPOSAL:
            yield f"disputed.jsonl:{number}: has not exactly {', '.join(sorted(_PROPOSAL))}"
        elif apart.get(row["id"]) != (row["label"], row["second"]):
            yield f"disputed.jsonl:{number}: {row['id']} is no longer disputed so; take it out"
        elif row["propose"] not in {*Label, "unclear"}:
            yield f"disputed.jsonl:{number}: {row['propose']!r} is neither a label nor 'unclear'"
        else:
            told.add(row["id"])
    yield from unread
    for name in sorted(apart.keys() - told):
        yield f"disputed.jsonl: {name} has two labels and no line"


def flat(said: list[Said], *, before: bool = False) -> str:
    """Give messages as a policy is measured on, with their kinds as tags.

    Each is by itself, or with what was said *before* it.
    """
    return "".join(
        msgspec.json.encode(
            {
                "id": one.id,
                "text": one.text,
                "label": one.label,
                "tags": [*one.kinds, *["hard"] * one.hard, *["with-before"] * bool(one.before)],
                "note": one.why,
                **({"before": one.before} if before and one.before else {}),
            }
        ).decode()
        + "\n"
        for one in said
    )


def unread(corpus: Corpus) -> str:
    """Give what a second reader is still to read: nothing that tells the first label."""
    return "".join(
        msgspec.json.encode({"id": one.id, "before": one.before, "text": one.text}).decode() + "\n"
        for one in sample(corpus.said, corpus.second)
    )


def renew(corpus: Corpus, folder: Path = HERE) -> None:
    """Give voices that have no half theirs, and README.md its tables."""
    kept = {voice: half for voice, half in corpus.halves.items() if voice in corpus.cards}
    corpus.halves = divide(traits(corpus.cards, corpus.said), kept)
    halves = {
        half.value: [voice for voice, its in corpus.halves.items() if its is half] for half in Half
    }
    (folder / "split.yaml").write_text(
        "# Which voices may be learned from, and which are for measuring only. No voice is moved.\n"
        + yaml.safe_dump(halves, sort_keys=False),
        encoding="utf-8",
    )
    readme = folder / "README.md"
    readme.write_text(renewed(readme.read_text("utf-8"), tables(corpus)), encoding="utf-8")


def others() -> dict[str, str]:
    """Read what others wrote, and a development set where $BLUELAMP_DEV_CORPUS names one."""
    paths = [*OTHERS, *map(Path, filter(None, [os.environ.get("BLUELAMP_DEV_CORPUS")]))]
    return {
        f"{path.name} {one.id}": one.text
        for path in paths
        for one in read_corpus(path.read_text("utf-8"), path.name)
    }


def main() -> int:
    """Do what is asked on the command line; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m corpus.check", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="renew split.yaml and README.md first")
    parser.add_argument("--flat", type=Path, metavar="FILE", help="print a file of messages, flat")
    parser.add_argument("--half", type=Half, choices=list(Half), help="print a half, flat")
    parser.add_argument("--before", action="store_true", help="flat, with what was said before")
    parser.add_argument("--unread", action="store_true", help="print what is to be read again")
    asked = parser.parse_args()
    corpus = read()
    if asked.flat:
        said = [one for one in corpus.said if one.voice == asked.flat.stem]
        sys.stdout.write(flat(said, before=asked.before))
        return 0
    if asked.half:
        sys.stdout.write(flat(corpus.half(asked.half), before=asked.before))
        return 0
    if asked.unread:
        sys.stdout.write(unread(corpus))
        return 0
    if asked.renew:
        renew(corpus)
    wrong = [*problems(corpus, others()), *disputes(corpus)]
    if in_readme((HERE / "README.md").read_text("utf-8")) != tables(corpus):
        wrong.append("README.md: the tables are not those of today; --renew writes them")
    for one in wrong:
        print(one)
    print(f"{len(corpus.said)} messages of {len(corpus.cards)} voices: {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
