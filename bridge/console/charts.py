"""Charts as SVG, each with its numbers as a table beside it.

Never a colour alone: series differ by shade and by pattern of their legend, and the table says it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.records.figures import Series

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 12, 28
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Box:
    """One bar, or part of one."""

    x: float
    y: float
    width: float
    height: float
    #: Which series, from 1: its colour is the style sheet's.
    series: int
    said: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, or a day below."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One value of a line."""

    x: float
    y: float
    said: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series as a line, in the pieces that have values."""

    series: int
    paths: tuple[str, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What the template draws."""

    id: str
    title: str
    unit: str
    names: tuple[str, ...]
    days: tuple[datetime.date, ...]
    rows: tuple[tuple[datetime.date, tuple[str, ...]], ...]
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = ()
    across: tuple[Tick, ...] = ()
    below: tuple[Tick, ...] = ()
    empty: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    bottom: int = HEIGHT - _BOTTOM


def bars(  # noqa: PLR0913, PLR0917 - a chart is its title, its numbers and their names
    name: str, title: str, unit: str, days: Sequence[datetime.date], series: Sequence[Series],
    called: Sequence[str],
) -> Chart:  # fmt: skip
    """Stacked bars, one for each day."""
    sums = [sum(one.values[n] or 0 for one in series) for n in range(len(days))]
    top = _top(max(sums, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    boxes = []
    for n, day in enumerate(days):
        base = 0.0
        for place, one in enumerate(series):
            value = one.values[n] or 0
            if value:
                y = _y(base + value, top)
                boxes.append(
                    Box(
                        round(_LEFT + n * step + step * 0.15, 1), round(y, 1), round(step * 0.7, 1),
                        round(_y(base, top) - y, 1), place + 1,
                        f"{day:%-d %B}: {value:,.0f} {called[place]}",
                    )
                )  # fmt: skip
            base += value
    return Chart(
        id=name, title=title, unit=unit, names=tuple(called), days=tuple(days),
        rows=_rows(days, series, "{:,.0f}"), boxes=tuple(boxes), across=_across(top),
        below=_below(days, step), empty=not any(sums),
    )  # fmt: skip


def lines(  # noqa: PLR0913, PLR0917 - as above
    name: str, title: str, unit: str, days: Sequence[datetime.date], series: Sequence[Series],
    called: Sequence[str],
) -> Chart:  # fmt: skip
    """A line for each series, broken where there is no value."""
    values = [value for one in series for value in one.values if value is not None]
    top = _top(max(values, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    drawn = []
    for place, one in enumerate(series):
        dots: list[Dot] = []
        pieces: list[str] = []
        piece = ""
        for n, value in enumerate(one.values):
            if value is None:
                pieces, piece = [*pieces, piece], ""
                continue
            x, y = round(_LEFT + (n + 0.5) * step, 1), round(_y(value, top), 1)
            piece += f"{'L' if piece else 'M'}{x} {y}"
            dots.append(Dot(x, y, f"{days[n]:%-d %B}: {called[place]} {value:.1f} {unit}"))
        drawn.append(Line(place + 1, tuple(p for p in (*pieces, piece) if p), tuple(dots)))
    return Chart(
        id=name, title=title, unit=unit, names=tuple(called), days=tuple(days),
        rows=_rows(days, series, "{:.1f}"), lines=tuple(drawn), across=_across(top),
        below=_below(days, step), empty=not values,
    )  # fmt: skip


def _rows(
    days: Sequence[datetime.date], series: Sequence[Series], form: str
) -> tuple[tuple[datetime.date, tuple[str, ...]], ...]:
    return tuple(
        (day, tuple("none" if (v := one.values[n]) is None else form.format(v) for one in series))
        for n, day in reversed(list(enumerate(days)))
    )


def _top(most: float) -> float:
    """A round number at or above *most*."""
    if most <= 0:
        return 1
    scale = 10.0 ** math.floor(math.log10(most))
    return next(step * scale for step in _STEPS if step * scale >= most)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)


def _across(top: float) -> tuple[Tick, ...]:
    return tuple(Tick(round(_y(top * n / 2, top), 1), f"{top * n / 2:,g}") for n in range(3))


def _below(days: Sequence[datetime.date], step: float) -> tuple[Tick, ...]:
    every = max(1, -(-len(days) // 7))
    return tuple(
        Tick(round(_LEFT + (n + 0.5) * step, 1), f"{day:%-d %b}")
        for n, day in enumerate(days)
        if (len(days) - 1 - n) % every == 0
    )
