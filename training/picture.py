"""Draws the curve and the reliability of the model, as an SVG of its own.

Never fetches anything: no font, no script, no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE = 380, 330, 48, 56, 220
_COLOURS = {"operational": "#1f5fbf", "concern": "#d9822b"}
#: The widest share of hard social messages flagged that is drawn.
_WIDEST = 0.2


def picture(told: Mapping[str, Any]) -> str:
    """Draw recall against false alarms, and what was stated against what came true."""
    width, height = 2 * _WIDTH, _HEIGHT
    words = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="12" y="20" font-size="14" font-weight="bold">'
        "The model on the held half of the corpus</text>",
        *_panel("found, by share of hard social flagged", 0, _WIDEST),
    ]
    for head, points in told["held"]["curve"].items():
        words += _curve(points, _COLOURS[head])
    words += _panel("came true, by what was stated", _WIDTH, 1.0)
    right = _WIDTH + _LEFT
    words.append(
        f'<path d="M{right} {_TOP + _SIDE}L{right + _SIDE * 1.25:.1f} {_TOP}" stroke="#999" '
        'stroke-dasharray="4 3"/>'
    )
    for head, colour in _COLOURS.items():
        words += _reliable(told["held"]["reliability"][head], colour)
    for place, (head, colour) in enumerate(_COLOURS.items()):
        y = _TOP + _SIDE - 26 + 15 * place
        words.append(f'<text x="{_LEFT + 190}" y="{y}" fill="{colour}">{head}</text>')
    return "\n".join([*words, "</svg>", ""])


def _panel(title: str, left: int, most: float) -> Iterator[str]:
    x0, y0, wide = left + _LEFT, _TOP + _SIDE, _SIDE * 1.25
    yield f'<text x="{x0}" y="{_TOP - 12}" font-weight="bold">{title}</text>'
    for step in range(5):
        x, y = x0 + wide * step / 4, y0 - _SIDE * step / 4
        yield f'<path d="M{x0} {y:.1f}h{wide:.1f}M{x:.1f} {y0}v{-_SIDE}" stroke="#e4e4e4"/>'
        yield f'<text x="{x:.1f}" y="{y0 + 15}" text-anchor="middle">{most * step * 25:g} %</text>'
        yield f'<text x="{x0 - 5}" y="{y + 4:.1f}" text-anchor="end">{step * 25} %</text>'


def _curve(points: Sequence[Mapping[str, Any]], colour: str) -> Iterator[str]:
    def place(point: Mapping[str, Any], what: str) -> str:
        x = _LEFT + _SIDE * 1.25 * point["flagged"] / _WIDEST
        return f"{x:.1f} {_TOP + _SIDE * (1 - point[what]):.1f}"

    upper = "L".join(place(point, "high") for point in points)
    lower = "L".join(place(point, "low") for point in reversed(points))
    yield f'<path d="M{upper}L{lower}Z" fill="{colour}" opacity="0.15"/>'
    line = "L".join(place(point, "share") for point in points)
    yield f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _reliable(rows: Sequence[Mapping[str, Any]], colour: str) -> Iterator[str]:
    for row in rows:
        x = _WIDTH + _LEFT + _SIDE * 1.25 * row["stated"]
        low, high = (_TOP + _SIDE * (1 - row[end]) for end in ("low", "high"))
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" opacity="0.5"/>'
        y = _TOP + _SIDE * (1 - row["true"])
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
