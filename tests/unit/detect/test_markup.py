"""Words out of HTML, and one's own words out of a reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.detect.markup import own_words_from, words_of


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("plain", "plain"),
        ("<b>AB12</b> CDE", "AB12 CDE"),
        ("A<i>B1</i>2 CDE", "AB12 CDE"),
        ("one<br>two", "one\ntwo"),
        ("fish &amp; chips &#65;&#x42;", "fish & chips AB"),
        ("<mx-reply><blockquote>theirs</blockquote></mx-reply>mine", "mine"),
        ("<style>.x{}</style>seen", "seen"),
        ("a <!-- hidden --> b", "a  b"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<b unclosed", ""),
        ("&nosuchthing; &#x110000;", "&nosuchthing; \ufffd"),
    ],
)
def test_html_is_read_as_people_see_it(html: str, words: str) -> None:
    assert words_of(html).text == words


def test_a_span_of_the_words_leads_back_into_the_html() -> None:
    html = "see <b>AB</b>12 &amp; go"
    words = words_of(html)
    start = words.text.index("AB12")
    first, last = words.span(start, start + 4)
    assert html[first:last] == "AB</b>12"
    start = words.text.index("&")
    first, last = words.span(start, start + 1)
    assert html[first:last] == "&amp;"


@given(st.text(alphabet="<>/&;#xab \n!-mreply", max_size=200))
def test_broken_html_is_read_as_it_stands(html: str) -> None:
    words = words_of(html)
    for start in range(len(words.text)):
        first, last = words.span(start, start + 1)
        assert 0 <= first < last <= len(html)


def test_the_quotation_before_a_reply_is_left_out() -> None:
    body = "> <@a:example.org> AB12 CDE seen\n> twice\n\nno it was not"
    assert body[own_words_from(body) :] == "no it was not"


def test_who_quotes_only_themselves_is_read_whole() -> None:
    assert own_words_from("> <@a:example.org> AB12 CDE seen\n") == 0
    assert own_words_from("> AB12 CDE seen\nyes") == 0
    assert own_words_from(">") == 0
