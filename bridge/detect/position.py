"""Reads where a picture was taken out of a JPEG's EXIF.

Never raises and never reads far: a member chooses these bytes. What is not as the standard says is
no position. Of a picture's content it looks at nothing.

Source: CIPA DC-008 (EXIF 2.32) 4.5.4 and 4.6.6, and TIFF 6.0 section 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: The name of the part of a message under which a picture's position is judged.
PART = "picture"
#: How far into a file its EXIF may begin, and how many segments may stand before it.
_FARTHEST = 1 << 18
_MOST_SEGMENTS = 64
_MOST_ENTRIES = 512
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_GPS = 0x8825
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4
_ASCII, _LONG, _RATIONAL = 2, 4, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place on the earth, in decimal degrees; south and west are below zero."""

    latitude: float
    longitude: float


def spelt(position: Position) -> str:
    """Say a position in the words that rules look for: as nobody would write it in a message."""
    return f"picture taken at latitude {position.latitude:.5f} longitude {position.longitude:.5f}"


def position_of(picture: bytes) -> Position | None:
    """Give the place that the EXIF of a JPEG names; None if there is none. Never raises."""
    tiff = _exif(picture)
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return None
    try:
        return _position(tiff, order)
    except (struct.error, ZeroDivisionError):
        return None


def _exif(picture: bytes) -> bytes:
    """Find the TIFF structure in the APP1 segment of a JPEG; empty if there is none."""
    if picture[:2] != b"\xff\xd8":
        return b""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        head = picture[at : at + 4]
        if at > _FARTHEST or len(head) < 4 or head[0] != 0xFF or head[1] in {0xDA, 0xD9}:
            return b""
        length = int.from_bytes(head[2:4])
        if head[1] == 0xE1 and picture[at + 4 : at + 10] == b"Exif\0\0":
            return picture[at + 10 : at + 2 + length]
        at += 2 + max(2, length)
    return b""


def _position(tiff: bytes, order: str) -> Position | None:
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    pointer = _entries(tiff, order, first).get(_GPS)
    if pointer is None or pointer[0] != _LONG:
        return None
    (gps,) = struct.unpack(f"{order}I", pointer[2])
    found = _entries(tiff, order, gps)
    latitude = _degrees(tiff, order, found.get(_LATITUDE))
    longitude = _degrees(tiff, order, found.get(_LONGITUDE))
    if latitude is None or longitude is None or latitude > 90 or longitude > 180:
        return None
    if latitude == 0 and longitude == 0:  # what a telephone writes that does not know
        return None
    south = _letter(found.get(_LATITUDE_REF)) == b"S"
    west = _letter(found.get(_LONGITUDE_REF)) == b"W"
    return Position(
        latitude=-latitude if south else latitude, longitude=-longitude if west else longitude
    )


#: The type, the count, and the four bytes that are the value or say where it is.
_Entry = tuple[int, int, bytes]


def _entries(tiff: bytes, order: str, at: int) -> dict[int, _Entry]:
    """Read one directory: the entry of each tag."""
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    found: dict[int, _Entry] = {}
    for place in range(min(count, _MOST_ENTRIES)):
        tag, kind, number, value = struct.unpack_from(f"{order}HHI4s", tiff, at + 2 + 12 * place)
        found.setdefault(tag, (kind, number, value))
    return found


def _degrees(tiff: bytes, order: str, entry: _Entry | None) -> float | None:
    """Read degrees, minutes and seconds, each a fraction."""
    if entry is None or entry[:2] != (_RATIONAL, 3):
        return None
    (at,) = struct.unpack(f"{order}I", entry[2])
    parts = struct.unpack_from(f"{order}6I", tiff, at)
    degrees, minutes, seconds = (parts[n] / parts[n + 1] if parts[n] else 0.0 for n in (0, 2, 4))
    return degrees + minutes / 60 + seconds / 3600


def _letter(entry: _Entry | None) -> bytes:
    return entry[2][:1].upper() if entry and entry[0] == _ASCII else b""
