"""Where a picture was taken: read as another reader reads it, and never a failure."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.detect.position import Position, position_of

Image = pytest.importorskip("PIL.Image", reason="an oracle that the demo's homeserver brings along")

_GPS = 0x8825


def picture(
    latitude: tuple[float, float, float] | None = (53, 48, 3.6),
    longitude: tuple[float, float, float] | None = (1, 32, 57),
    refs: tuple[str, str] = ("N", "W"),
    *,
    kind: str = "JPEG",
) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "A maker of telephones"
    place: dict[int, object] = {1: refs[0], 3: refs[1]}
    if latitude is not None:
        place[2] = tuple(Fraction(part).limit_denominator(1000) for part in latitude)
    if longitude is not None:
        place[4] = tuple(Fraction(part).limit_denominator(1000) for part in longitude)
    exif[_GPS] = place
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind, exif=exif)
    return out.getvalue()


def test_a_position_is_read() -> None:
    found = position_of(picture())
    assert found is not None
    assert found.latitude == pytest.approx(53.801, abs=1e-5)
    assert found.longitude == pytest.approx(-1.54917, abs=1e-4)


@given(
    st.integers(0, 89), st.integers(1, 59), st.integers(0, 59), st.integers(0, 179),
    st.sampled_from("NS"), st.sampled_from("EW"),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_it_is_read_as_it_was_written(
    degrees: int, minutes: int, seconds: int, east: int, north: str, side: str
) -> None:
    found = position_of(picture((degrees, minutes, seconds), (east, 0, 0), (north, side)))
    assert found is not None
    written = degrees + minutes / 60 + seconds / 3600
    assert found.latitude == pytest.approx(written if north == "N" else -written)
    assert found.longitude == pytest.approx(east if side == "E" else -east)


def test_both_orders_of_bytes_are_read() -> None:
    little = picture()
    at = little.index(b"Exif\0\0") + 6
    orders = {little[at : at + 2]}
    exif = Image.Exif()
    exif.endian = ">" if orders == {b"II"} else "<"
    exif[_GPS] = {1: "S", 2: (Fraction(10), Fraction(0), Fraction(0)), 3: "E",
                  4: (Fraction(20), Fraction(30), Fraction(0))}  # fmt: skip
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif.tobytes())
    assert position_of(out.getvalue()) == Position(latitude=-10, longitude=20.5)


@pytest.mark.parametrize(
    "file",
    [
        b"", b"\xff\xd8", b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0\xff\xff\xff\xff",
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 10_000, b"not a picture", b"\x89PNG\r\n\x1a\n",
    ],
)  # fmt: skip
def test_what_is_no_picture_with_a_position_has_none(file: bytes) -> None:
    assert position_of(file) is None


def test_a_picture_without_a_position_has_none() -> None:
    assert position_of(picture(None, None)) is None
    assert position_of(picture(latitude=None)) is None
    assert position_of(picture((0, 0, 0), (0, 0, 0))) is None
    assert position_of(picture(kind="PNG")) is None


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
@example(b"", [(30, 255), (31, 255)])
def test_no_bytes_make_it_fail(tail: bytes, changes: list[tuple[int, int]]) -> None:
    file = bytearray(_WHOLE[:400])
    for at, value in changes:
        if at < len(file):
            file[at] = value
    for one in (bytes(file), bytes(file) + tail, tail, _WHOLE[:12] + tail):
        found = position_of(one)
        assert found is None or (abs(found.latitude) <= 90 and abs(found.longitude) <= 180)


_WHOLE = picture()
