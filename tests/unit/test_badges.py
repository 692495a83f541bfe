"""The pictures of the classes: each can be told from the others by its shape alone."""

from __future__ import annotations

import itertools
import struct
import zlib

import pytest

from bridge.matrix.desired import _MARKS
from bridge.model import RoomClass
from bridge.rooms import badges

CLASSES = tuple(_MARKS)


def pixels(png: bytes) -> list[list[tuple[int, int, int]]]:
    """Read one of our own pictures: three bytes a pixel, no filter."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        parts[kind], at = data, at + 12 + length
    width, height, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (width, height, rest) == (badges.SIZE, badges.SIZE, [8, 2, 0, 0, 0])
    raw, step = zlib.decompress(parts[b"IDAT"]), 1 + 3 * width
    rows = [raw[n : n + step] for n in range(0, len(raw), step)]
    assert [row[0] for row in rows] == [0] * height
    return [[(r[n], r[n + 1], r[n + 2]) for n in range(1, step, 3)] for r in rows]


def shape(cls: RoomClass) -> frozenset[tuple[int, int]]:
    """Where a picture is white."""
    return frozenset(
        (x, y)
        for y, row in enumerate(pixels(badges.picture(cls)))
        for x, pixel in enumerate(row)
        if min(pixel) > 200
    )


def luminance(colour: tuple[int, int, int]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [one / 255 for one in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_picture_is_a_white_shape_that_stands_out_and_stays_in_a_circle(cls: RoomClass) -> None:
    field = pixels(badges.picture(cls))[0][0]
    assert 1.05 / (luminance(field) + 0.05) >= 4.5
    white, middle = shape(cls), badges.SIZE / 2
    assert 0.05 < len(white) / badges.SIZE**2 < 0.5
    # Clients show a room's picture cut to a circle.
    assert all((x - middle) ** 2 + (y - middle) ** 2 < middle**2 for x, y in white)


def test_no_two_classes_look_alike_without_their_colours() -> None:
    for one, other in itertools.combinations(CLASSES, 2):
        ours, theirs = shape(one), shape(other)
        assert len(ours & theirs) / len(ours | theirs) < 0.8, (one, other)


def test_a_picture_is_drawn_the_same_every_time() -> None:
    first = badges.picture(RoomClass.SOCIAL)
    badges.picture.cache_clear()
    assert badges.picture(RoomClass.SOCIAL) == first
    assert badges.name(RoomClass.SOCIAL) == "social-1"
