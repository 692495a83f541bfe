"""Draws how many messages were done after how long, as an SVG of its own.

Never fetches anything: no font, no script, no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

_WIDTH, _HEIGHT = 360, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 44, 40
_COLOURS = ("#1f5fbf", "#d9822b")
_TICKS = 4


def staircases(
    title: str, panels: Mapping[str, Mapping[str, Sequence[float]]], *, note: str
) -> str:
    """Draw a panel for each of *panels*: a name, and for each series its samples in ms."""
    width = _WIDTH * len(panels)
    words = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + 54}" '
        f'width="{width}" height="{_HEIGHT + 54}" font-family="sans-serif" font-size="11" '
        'fill="#222">',
        f'<rect width="{width}" height="{_HEIGHT + 54}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="bold">{title}</text>',
        f'<text x="12" y="{_HEIGHT + 46}" fill="#666">{note}</text>',
    ]
    for place, (name, series) in enumerate(panels.items()):
        words.append(f'<g transform="translate({place * _WIDTH} 24)">')
        words += _panel(name, series)
        words.append("</g>")
    return "\n".join([*words, "</svg>", ""])


def _panel(name: str, series: Mapping[str, Sequence[float]]) -> Iterator[str]:
    most = _round_up(max(max(samples) for samples in series.values()))
    x0, x1, y0, y1 = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, _TOP
    yield f'<text x="{x0}" y="{_TOP - 14}" font-weight="bold">{name}</text>'
    for step in range(_TICKS + 1):
        x, y = x0 + (x1 - x0) * step / _TICKS, y0 + (y1 - y0) * step / _TICKS
        yield f'<path d="M{x0} {y:.1f}H{x1}M{x:.1f} {y0}V{y1}" stroke="#e4e4e4"/>'
        share, ms = 100 * step // _TICKS, most * step / _TICKS
        yield f'<text x="{x:.1f}" y="{y0 + 15}" text-anchor="middle">{ms:g}</text>'
        yield f'<text x="{x0 - 5}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>'
    yield f'<text x="{(x0 + x1) / 2}" y="{y0 + 30}" text-anchor="middle">ms</text>'
    for place, (label, samples) in enumerate(series.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        line = f"M{x0} {y0}"
        for count, sample in enumerate(sorted(samples), 1):
            x = x0 + (x1 - x0) * sample / most
            line += f"H{x:.1f}V{y0 + (y1 - y0) * count / len(samples):.1f}"
        yield f'<path d="{line}H{x1}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        y = y0 - 12 - 15 * (len(series) - 1 - place)
        yield f'<text x="{x1 - 6}" y="{y}" text-anchor="end" fill="{colour}">{label}</text>'


def _round_up(value: float) -> float:
    """Return a round number, not below *value*, that four ticks divide well."""
    unit = 10.0 ** (len(str(int(value))) - 1)
    return next(unit * k for k in (1, 2, 4, 6, 8, 10, 20) if unit * k >= value)


def bars(title: str, shares: Mapping[str, float], *, line: float) -> str:
    """Draw a bar for each of *shares*, up to three, and a *line* that each should reach."""
    left, right, step, top, most = 150, 60, 24, 50, 3.0
    width, height = 720, top + step * len(shares) + 30
    scale = (width - left - right) / most
    words = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-size="14" font-weight="bold">{title}</text>',
    ]
    for place, (name, share) in enumerate(shares.items()):
        y = top + step * place
        colour = _COLOURS[0] if share >= line else _COLOURS[1]
        words += [
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>',
            f'<rect x="{left}" y="{y}" width="{min(share, most) * scale:.1f}" height="17" '
            f'fill="{colour}"/>',
            f'<text x="{left + min(share, most) * scale + 6:.1f}" y="{y + 13}">{share:.2f}</text>',
        ]
    x = left + line * scale
    words.append(
        f'<path d="M{x:.1f} {top - 8}V{height - 26}" stroke="#222" stroke-dasharray="4 3"/>'
    )
    words.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">target</text>')
    return "\n".join([*words, "</svg>", ""])
