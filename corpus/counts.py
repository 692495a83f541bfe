"""Counts the corpus, as the tables that README.md shows.

Never rounds a figure that decides something: shares are for reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from bridge.policy.corpus import Label
from corpus.agreement import Agreement, agreement
from corpus.rows import Corpus, Half, Said

#: Between these lines of README.md stand the tables.
BEGIN, END = "<!-- counts: make corpus ARGS=--renew -->", "<!-- end of counts -->"


def tables(corpus: Corpus) -> str:
    """Give every table that README.md shows, as Markdown."""
    parts = [_halves(corpus), _cards(corpus), _kinds(corpus.said)]
    if corpus.second:
        parts.append(_second(corpus))
    return "\n\n".join(parts)


def _halves(corpus: Corpus) -> str:
    rows = [
        "| half | voices | messages | " + " | ".join(Label) + " | hard | with what was before |"
    ]
    rows.append("|---|" + "---:|" * (len(Label) + 4))
    for name, said in (
        *((half.value, corpus.half(half)) for half in Half),
        ("both", corpus.said),
    ):
        rows.append(f"| {name} | {len({one.voice for one in said})} | {len(said)} | {_row(said)} |")
    hard = (
        f"{sum(one.hard for one in corpus.said if one.label is label)} {label}" for label in Label
    )
    return "\n".join(rows) + f"\n\nHard, by label: {', '.join(hard)}. {_nameless(corpus.said)}"


def _row(said: Sequence[Said]) -> str:
    labels = Counter(one.label for one in said)
    counts = [str(labels[label]) for label in Label]
    counts += [str(sum(one.hard for one in said)), str(sum(bool(one.before) for one in said))]
    return " | ".join(counts)


#: Kinds that say that a message identifies something or somebody.
IDENTIFY = frozenset({"identifier", "registration", "phone", "person", "address", "reference"})


def _nameless(said: Iterable[Said]) -> str:
    said = list(said)
    operational = [one for one in said if one.label is Label.OPERATIONAL]
    bare = sum(not IDENTIFY & set(one.kinds) for one in operational)
    cut = [one for one in said if "fragment" in one.kinds]
    return (
        f"Operational without an identifier: {bare} of {len(operational)}. "
        f"Fragments whose earlier messages are missing: {sum(not one.before for one in cut)} "
        f"of {len(cut)}."
    )


def _cards(corpus: Corpus) -> str:
    return (
        _by("nation", corpus, lambda voice: corpus.cards[voice].nation)
        + "\n\n"
        + _by("unit", corpus, lambda voice: corpus.cards[voice].group)
    )


def _by(name: str, corpus: Corpus, trait: Callable[[str], str]) -> str:
    voices = Counter(trait(voice) for voice in corpus.cards)
    held = Counter(trait(v) for v in corpus.cards if corpus.halves.get(v) is Half.HELD)
    said = Counter(trait(one.voice) for one in corpus.said if one.voice in corpus.cards)
    rows = [f"| {name} | voices | of them held | messages |", "|---|---:|---:|---:|"]
    rows += [f"| {one} | {voices[one]} | {held[one]} | {said[one]} |" for one in sorted(voices)]
    return "\n".join(rows)


def _kinds(said: Sequence[Said]) -> str:
    counts = Counter((kind, one.label) for one in said for kind in one.kinds)
    total = Counter(kind for one in said for kind in one.kinds)
    rows = ["| kind | " + " | ".join(Label) + " |", "|---|" + "---:|" * len(Label)]
    for kind, _ in sorted(total.items(), key=lambda item: (-item[1], item[0])):
        rows.append(f"| {kind} | " + " | ".join(str(counts[kind, label]) for label in Label) + " |")
    return "\n".join(rows)


def _second(corpus: Corpus) -> str:
    whole = agreement(corpus.said, corpus.second)
    hard = agreement([one for one in corpus.said if one.hard], corpus.second)
    return "\n".join(_stated(whole.rows(), (("all", whole), ("hard", hard))))


def _stated(confusion: Iterable[str], found: Iterable[tuple[str, Agreement]]) -> Iterator[str]:
    yield from confusion
    yield ""
    yield "| messages read twice | of | same label | 95 % | Cohen's kappa |"
    yield "|---|---:|---:|---|---:|"
    for name, one in found:
        low, high = one.interval
        yield (
            f"| {name} | {one.total} | {one.agreed} ({one.agreed / one.total:.3f}) "
            f"| {low:.3f} to {high:.3f} | {one.kappa:.3f} |"
        )


def in_readme(text: str) -> str | None:
    """Give the tables that stand in README.md; None if it has no place for them."""
    _, begin, rest = text.partition(BEGIN)
    tables, end, _ = rest.partition(END)
    return tables.strip() if begin and end else None


def renewed(text: str, tables: str) -> str:
    """Give README.md with new tables."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"
