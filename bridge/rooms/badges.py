"""The picture of each class of rooms, so that people see where they are before they write.

Never a letter or a crest: a white shape on a colour, told apart by either alone.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridge.model import RoomClass

#: Raised whenever a picture is drawn otherwise, so that the new one is uploaded.
EDITION = 1
SIZE = 96
#: Points that are looked at for each pixel, in each direction, so that edges are smooth.
_FINE = 2

#: A circle: its middle and its radius, where the picture is 1 wide and 1 high, from its top left.
_Disc: TypeAlias = tuple[float, float, float]
_Outline: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Badge:
    """A colour (red, green, blue), and white parts on it; a part of a part is cut out again."""

    colour: tuple[int, int, int]
    discs: Sequence[_Disc] = ()
    outlines: Sequence[_Outline] = ()


def _box(left: float, top: float, right: float, bottom: float) -> _Outline:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


_BADGES = {
    # Something said: a bubble.
    RoomClass.SOCIAL: _Badge(
        (0, 112, 60),
        outlines=[
            ((0.26, 0.28), (0.74, 0.28), (0.80, 0.34), (0.80, 0.58), (0.74, 0.64), (0.46, 0.64),
             (0.33, 0.77), (0.33, 0.64), (0.26, 0.64), (0.20, 0.58), (0.20, 0.34)),
        ],
    ),
    # What is guarded: a shield.
    RoomClass.OPERATIONAL: _Badge(
        (0, 48, 120),
        outlines=[
            ((0.50, 0.18), (0.76, 0.28), (0.76, 0.50), (0.72, 0.62), (0.63, 0.73), (0.50, 0.82),
             (0.37, 0.73), (0.28, 0.62), (0.24, 0.50), (0.24, 0.28)),
        ],
    ),
    # People from two houses.
    RoomClass.COMMUNITY: _Badge(
        (76, 44, 146),
        discs=[(0.35, 0.36, 0.11), (0.65, 0.36, 0.11)],
        outlines=[
            ((0.20, 0.72), (0.24, 0.57), (0.30, 0.52), (0.40, 0.52), (0.46, 0.57), (0.48, 0.72)),
            ((0.52, 0.72), (0.54, 0.57), (0.60, 0.52), (0.70, 0.52), (0.76, 0.57), (0.80, 0.72)),
        ],
    ),
    # What comes in: an arrow into a tray.
    RoomClass.INTAKE: _Badge(
        (148, 37, 20),
        outlines=[
            ((0.44, 0.20), (0.56, 0.20), (0.56, 0.42), (0.68, 0.42), (0.50, 0.62), (0.32, 0.42),
             (0.44, 0.42)),
            ((0.20, 0.54), (0.30, 0.54), (0.30, 0.70), (0.70, 0.70), (0.70, 0.54), (0.80, 0.54),
             (0.80, 0.80), (0.20, 0.80)),
        ],
    ),
    # Looked at: a glass.
    RoomClass.REVIEW: _Badge(
        (123, 63, 0),
        discs=[(0.44, 0.42, 0.22), (0.44, 0.42, 0.14)],
        outlines=[((0.57, 0.63), (0.65, 0.55), (0.82, 0.72), (0.74, 0.80))],
    ),
    # Written down: lines.
    RoomClass.AUDIT: _Badge(
        (56, 63, 67),
        outlines=[_box(0.24, at, 0.76, at + 0.09) for at in (0.24, 0.39, 0.54, 0.69)],
    ),
    # Nobody's: a hollow diamond.
    RoomClass.CANARY: _Badge(
        (102, 92, 0),
        outlines=[
            ((0.50, 0.18), (0.82, 0.50), (0.50, 0.82), (0.18, 0.50)),
            ((0.50, 0.34), (0.66, 0.50), (0.50, 0.66), (0.34, 0.50)),
        ],
    ),
}  # fmt: skip


def name(cls: RoomClass) -> str:
    """What the lock calls the picture of a class as it is drawn today."""
    return f"{cls.value}-{EDITION}"


@functools.cache
def picture(cls: RoomClass) -> bytes:
    """Draw the picture of a class: a PNG, 96 by 96.

    Raises:
        KeyError: rooms of this class are not on a register.
    """
    badge = _BADGES[cls]
    rows = (
        b"\0" + b"".join(_mixed(badge.colour, _white(badge, x, y)) for x in range(SIZE))
        for y in range(SIZE)
    )
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Frame a part of a PNG (W3C Portable Network Graphics, section 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _mixed(colour: tuple[int, int, int], white: float) -> bytes:
    return bytes(round(one + (255 - one) * white) for one in colour)


def _white(badge: _Badge, x: int, y: int) -> float:
    """Say how much of one pixel is white, from 0 to 1."""
    inside = 0
    for down in range(_FINE):
        for right in range(_FINE):
            at = (x + (right + 0.5) / _FINE) / SIZE, (y + (down + 0.5) / _FINE) / SIZE
            inside += _is_white(badge, *at)
    return inside / _FINE**2


def _is_white(badge: _Badge, x: float, y: float) -> bool:
    """Say whether a point is in an odd number of parts."""
    odd = False
    for across, down, radius in badge.discs:
        odd ^= (x - across) ** 2 + (y - down) ** 2 < radius**2
    for outline in badge.outlines:
        last_x, last_y = outline[-1]
        for next_x, next_y in outline:
            if (next_y > y) != (last_y > y):
                odd ^= x < (last_x - next_x) * (y - next_y) / (last_y - next_y) + next_x
            last_x, last_y = next_x, next_y
    return odd
