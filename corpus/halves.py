"""Divides the voices into a half to learn from and a half to measure on.

Never puts one voice into both, and never moves a voice that has its half already: what was measured
on the held half stays comparable when voices are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from corpus.rows import Card, Half, Said

#: About this share of everything is held back.
HELD = 0.2
#: A trait with fewer voices than this need not be in both halves.
FEW = 3


def traits(cards: Mapping[str, Card], said: Sequence[Said]) -> dict[str, Counter[str]]:
    """Give what each voice weighs in what should be spread evenly.

    A voice counts once for its nation, group of units and writer, and each message for a part of
    a voice under its label, so that labels weigh about as much as the rest.
    """
    found = {
        voice: Counter(
            {f"nation {card.nation}": 100, f"unit {card.group}": 100, f"hand {card.hand}": 100}
        )
        for voice, card in cards.items()
    }
    for one in said:
        if one.voice in found:
            found[one.voice][f"label {one.label}"] += 4
            found[one.voice]["hard"] += 4 if one.hard else 0
    return found


def divide(
    weighs: Mapping[str, Mapping[str, int]], fixed: Mapping[str, Half] | None = None
) -> dict[str, Half]:
    """Give each voice its half; *fixed* ones keep theirs.

    From nothing held, the voice is moved that brings the held half nearest to its share of every
    trait, until none does; then pairs are exchanged in the same way. Ties go to the first by name.
    """
    fixed = fixed or {}
    total, has = Counter[str](), Counter[str]()
    for voice, weight in weighs.items():
        total.update(weight)
        if fixed.get(voice) is Half.HELD:
            has.update(weight)
    away = sorted(voice for voice in weighs if voice not in fixed)
    held: list[str] = []
    while True:
        moves: list[tuple[list[str], list[str]]] = [([], [voice]) for voice in away]
        moves += [([voice], []) for voice in held]
        moves += [([out], [into]) for out in held for into in away]
        steps = [_step(weighs, *move) for move in moves]
        nearer = [_nearer(step, has, total) for step in steps]
        if max(nearer, default=0) <= 0:
            break
        best = nearer.index(max(nearer))
        outward, inward = moves[best]
        held = sorted({*held, *inward} - {*outward})
        away = sorted({*away, *outward} - {*inward})
        has.update(steps[best])
    kept = {voice for voice in weighs if fixed.get(voice) is Half.HELD}
    return {
        voice: Half.HELD if voice in kept.union(held) else Half.TRAIN for voice in sorted(weighs)
    }


def _step(
    weighs: Mapping[str, Mapping[str, int]], outward: Sequence[str], inward: Sequence[str]
) -> dict[str, int]:
    """Give what the held half gains of each trait by a move."""
    gains: dict[str, int] = {}
    for sign, voices in ((-1, outward), (1, inward)):
        for voice in voices:
            for trait, weight in weighs[voice].items():
                gains[trait] = gains.get(trait, 0) + sign * weight
    return gains


def _nearer(step: Mapping[str, int], has: Mapping[str, int], total: Mapping[str, int]) -> float:
    """Say how much nearer a step brings the held half to its share of every trait.

    How far it is: the squared distance from the share, over the whole, of all traits together.
    """
    return round(
        sum(
            -gain * (2 * (has[trait] - HELD * total[trait]) + gain) / total[trait]
            for trait, gain in step.items()
            if gain
        ),
        6,
    )
