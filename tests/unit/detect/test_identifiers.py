"""Check digits and ranges of the references that policing in the United Kingdom uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.detect import identifiers as ids
from bridge.detect.shapes import SHAPES

AGES = ids.AgeRange(march=26, september=76)


@pytest.mark.parametrize("text", ["2002/0073319z", "02/73319z", "20/9n"])
def test_a_pnc_id_with_its_letter_passes(text: str) -> None:
    assert ids.pnc_id(text, AGES)


def test_a_pnc_id_with_another_letter_does_not() -> None:
    assert not ids.pnc_id("2002/0073319a", AGES)


@given(st.integers(0, 99), st.integers(1, 9_999_999))
def test_exactly_one_letter_fits_each_pnc_serial(year: int, serial: int) -> None:
    letters = [c for c in ids.CHECK_LETTERS.lower() if ids.pnc_id(f"{year:02}/{serial}{c}", AGES)]
    assert len(letters) == 1


def test_check_letters_leave_out_those_that_look_like_figures() -> None:
    assert len(set(ids.CHECK_LETTERS)) == 23
    assert not set("IOS") & set(ids.CHECK_LETTERS)


def test_a_cro_number_is_checked() -> None:
    assert ids.cro("097501/98t", AGES)
    assert not ids.cro("097501/98a", AGES)


def test_a_cro_number_of_a_file_of_its_own_is_checked() -> None:
    letter = ids.check_letter("391234").lower()
    assert ids.cro(f"sf39/1234{letter}", AGES)


def test_an_arrest_number_is_checked_with_two_or_three_signs_of_system() -> None:
    letter = ids.check_letter("44" + "01" + "25" + "12345".zfill(11)).lower()
    assert ids.asn(f"25/44qx/01/12345{letter}", AGES)
    wrong = "a" if letter != "a" else "b"
    assert not ids.asn(f"25/44qx/01/12345{wrong}", AGES)


@pytest.mark.parametrize("text", ["401 023 2137", "4010232137", "943-476-5919"])
def test_an_nhs_number_with_its_check_digit_passes(text: str) -> None:
    assert ids.nhs_number(text, AGES)


@pytest.mark.parametrize("text", ["401 023 2138", "1111111111", "401023213"])
def test_other_ten_figures_do_not(text: str) -> None:
    assert not ids.nhs_number(text, AGES)


def test_national_insurance_prefixes_that_are_never_given_fail() -> None:
    assert ids.nino("ab 12 34 56 c", AGES)
    assert not ids.nino("qq 12 34 56 c", AGES)
    assert not ids.nino("gb123456a", AGES)


def test_the_range_of_age_identifiers_is_a_parameter() -> None:
    assert ids.vrm_current("ab26 cde", AGES)
    assert ids.vrm_current("ab76cde", AGES)
    assert not ids.vrm_current("ab28 cde", AGES)
    assert not ids.vrm_current("ab01 cde", AGES)
    assert ids.vrm_current("ab28 cde", ids.AgeRange(march=28, september=78))


def test_a_letter_never_issued_and_a_road_before_a_word_are_no_registrations() -> None:
    assert not ids.vrm_current("qb21 cde", AGES)
    assert not ids.vrm_letters("a38 for", AGES)
    assert ids.vrm_letters("p417 khb", AGES)


def test_a_registration_that_is_spelt_out_is_put_together() -> None:
    assert ids.spoken("yankee echo two one, kilo foxtrot x-ray") == "ye21kfx"
    assert ids.vrm_spoken("yankee echo two one kilo foxtrot november", AGES)
    assert not ids.vrm_spoken("one two three four five six", AGES)


def test_a_driver_number_has_a_possible_date() -> None:
    assert ids.driving_licence("morga657054sm9ij", AGES)
    assert not ids.driving_licence("morga699994sm9ij", AGES)


def test_a_card_number_is_checked_by_luhns_rule() -> None:
    assert ids.card_number("4111 1111 1111 1111", AGES)
    assert not ids.card_number("4111 1111 1111 1112", AGES)


def test_a_position_is_in_the_united_kingdom() -> None:
    assert ids.uk_position("53.48095, -2.23743", AGES)
    assert not ids.uk_position("53.48095, 8.23743", AGES)


def test_a_distance_is_no_street() -> None:
    assert ids.street("22 pellworth road", AGES)
    assert not ids.street("10 minutes down the road", AGES)


@pytest.mark.parametrize(
    "typed", ["on30nov", "by12jun", "by12 JUN", "in20 min", "be in 20 min", "MG11 pad", "at10 the"]
)
def test_ordinary_words_are_no_registration(typed: str) -> None:
    assert ids.no_registration(typed)


@pytest.mark.parametrize("typed", ["AB12 CDE", "ab12cde", "BY12 VAN", "LK28 MAN", "ab12car"])
def test_a_registration_that_ends_like_a_word_stays_one(typed: str) -> None:
    assert not ids.no_registration(typed)


def test_an_international_account_number_is_checked() -> None:
    assert ids.iban("gb82 west 1234 5698 7654 32", AGES)
    assert not ids.iban("gb82 west 1234 5698 7654 33", AGES)


@pytest.mark.parametrize("typed", ["192.168.1.1", "10.0.4.17", "172.20.0.1", "127.0.0.1"])
def test_an_address_of_a_network_at_home_leads_to_nobody(typed: str) -> None:
    assert ids.own_network(typed)
    assert not ids.own_network("203.0.113.9")
    assert not ids.own_network("172.32.0.1")


def test_a_word_before_a_number_is_no_grid_reference() -> None:
    assert ids.no_grid("no 4010232137")
    assert ids.no_grid("so 123 456")
    assert not ids.no_grid("NO 401 232")
    assert not ids.no_grid("ta 923 146")


@pytest.mark.parametrize(
    "text",
    ["dob 300695", "born 19th may 1979", "dob 4/9/11", "b. 7-8-84", "date of birth 30061995"],
)
def test_a_date_of_birth_is_read_in_many_spellings(text: str) -> None:
    assert ids.date_of_birth(text, AGES)


@pytest.mark.parametrize("text", ["dob 990695", "dob 30/13/95", "born 45 may 1979"])
def test_what_is_no_day_fails(text: str) -> None:
    assert not ids.date_of_birth(text, AGES)


def test_west_of_greenwich_is_below_zero() -> None:
    assert ids.uk_position("n53.8008 w6.5491", AGES)
    assert not ids.uk_position("n53.8008 e6.5491", AGES)


@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_no_check_fails_on_anything_its_shape_lets_through(name: str, data: st.DataObject) -> None:
    shape = SHAPES[name]
    text = data.draw(
        st.from_regex(shape.pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    )
    if shape.check is not None:
        assert shape.check(text, AGES) in {True, False}
    if shape.ordinary is not None:
        assert shape.ordinary(text) in {True, False}
