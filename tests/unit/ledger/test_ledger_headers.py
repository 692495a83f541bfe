"""A header is read in one spelling, and one that is refused has something wrong with it."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.verify import Unsound
from bridge.verify.headers import ALWAYS, EXACT, LONGEST, MAY, MUST, Header, Kind, read_header

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NUMBER = st.integers(0, EXACT - 1)
RID = st.text("0123456789abcdef", min_size=32, max_size=32)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    kind = draw(st.sampled_from(Kind))
    optional = draw(st.sets(st.sampled_from(sorted(MAY[kind] - MUST[kind]) or ["ref"])))
    names = MUST[kind] | (optional & MAY[kind])
    return {
        "v": 1, "kind": kind.value, "rid": draw(RID), "t": draw(NUMBER), "len": draw(NUMBER),
        "sha256": draw(TEXT), **{name: draw(TEXT) for name in names},
    }  # fmt: skip


def canonical(header: Header) -> bytes:
    return rfc8785.dumps(dict(header))


@given(headers())
@settings(deadline=None)
def test_what_another_library_spells_is_read_and_says_the_same(header: Header) -> None:
    raw = canonical(header)
    if len(raw) > LONGEST:
        return
    head = read_header(raw)
    for name in ("kind", "rid", "t", "len", "sha256"):
        assert getattr(head, name) == header[name]
    for name in ("bucket", "epoch", "ref", "effect", "status"):
        assert getattr(head, name) == header.get(name, "")


@given(headers(), st.data())
@settings(deadline=None)
def test_a_header_that_is_not_as_it_must_be_is_refused(header: Header, data: st.DataObject) -> None:
    kind = Kind(str(header["kind"]))
    required = sorted(ALWAYS | MUST[kind])
    lost = data.draw(st.sampled_from(required))
    raw = canonical(header)
    wrong: list[bytes] = [
        canonical({name: value for name, value in header.items() if name != lost}),
        canonical({**header, "zz": "more"}),
        canonical({**header, "v": 2}),
        canonical({**header, "t": str(header["t"])}),
        canonical({**header, "sha256": 7}),
        canonical({**header, "rid": str(header["rid"])[:-1]}),
        canonical({**header, "rid": str(header["rid"])[:-1] + "G"}),
        canonical({**header, "kind": "gossip"}),
        raw + b" ",
        b" " + raw,
        raw[:-1] + b',"v":1}',
        raw.replace(b'"v":1', b'"v":1.0'),
        raw.replace(b'"v":1', b'"v":true'),
    ]
    wrong += [canonical({**header, name: ""}) for name in MAY[kind] - MUST[kind]]
    for one in wrong:
        with pytest.raises(Unsound):
            read_header(one)


@pytest.mark.parametrize("number", [-1, EXACT, 2**63, 2**64])
def test_numbers_are_such_as_every_reader_of_json_has(number: int) -> None:
    raw = b'{"kind":"heartbeat","len":2,"rid":"' + b"a" * 32 + b'","sha256":"x","t":7,"v":1}'
    assert read_header(raw).t == 7
    with pytest.raises(Unsound, match=r"wrong type|cannot be read"):
        read_header(raw.replace(b'"t":7', b'"t":%d' % number))


def test_a_header_may_not_be_longer_than_it_may() -> None:
    raw = b'{"kind":"heartbeat","len":2,"rid":"' + b"a" * 32 + b'","sha256":"%s","t":7,"v":1}'
    room = LONGEST - len(raw) + 2
    assert len(raw % (b"x" * room)) == LONGEST
    read_header(raw % (b"x" * room))
    with pytest.raises(Unsound, match="one way"):
        read_header(raw % (b"x" * (room + 1)))
