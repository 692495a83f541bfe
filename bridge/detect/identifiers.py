"""Tells a reference number from a number that merely looks like one: check digits and ranges.

Never says whether a number belongs to anybody: only whether it could have been issued.

Sources: PNC ID, CRO and arrest/summons number from the NPCC *Minimum POLE Data Standards
Dictionary* 1.1, attributes 071-073; NHS number from the NHS Data Dictionary; National Insurance
prefixes from NIM39110; registrations from DVLA INF104.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: The check letters of police references, by remainder; I, O and S never appear.
CHECK_LETTERS = "ZABCDEFGHJKLMNPQRTUVWXY"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeRange:
    """Which age identifiers of registrations have been issued; rises each March and September."""

    #: March plates run from 02; 26 is from March 2026.
    march: int = 26
    #: September plates run from 51; 76 is from September 2026.
    september: int = 76

    def holds(self, age: int) -> bool:
        """Say whether plates with this age identifier exist."""
        return 2 <= age <= self.march or 51 <= age <= self.september


#: Takes the matched text, folded, and says whether the check is passed.
Check: TypeAlias = Callable[[str, AgeRange], bool]
#: Takes a place as it was typed and says that it is ordinary words.
Ordinary: TypeAlias = Callable[[str], bool]


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _letters_and_digits(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text)


def _mod23(number: str, letter: str) -> bool:
    return bool(number) and CHECK_LETTERS[int(number) % 23] == letter.upper()


def check_letter(number: str) -> str:
    """Give the police check letter of a run of figures."""
    return CHECK_LETTERS[int(number) % 23]


def vrm_current(text: str, ages: AgeRange) -> bool:
    """Check the age identifier and the letters of a registration such as AB12 CDE."""
    compact = _letters_and_digits(text)
    return ages.holds(int(compact[2:4])) and "q" not in compact and "z" not in compact[:2]


#: Words of three letters that follow a road or a figure in ordinary talk.
SHORT_WORDS = frozenset({
    "all", "and", "any", "are", "bar", "bus", "but", "buy", "can", "car", "cos", "day", "did",
    "due", "eta", "exc", "far", "fae", "for", "fri", "get", "got", "had", "has", "her", "his",
    "how", "hrs", "hub", "jct", "jam", "kph", "lad", "let", "lot", "man", "may", "men", "min",
    "mon", "mph", "mum", "not", "now", "nov", "new", "old", "one", "our", "out", "own", "pal",
    "per", "pls", "pub", "put", "ran", "sat", "say", "see", "set", "she", "sun", "tea", "ten",
    "the", "thu", "too", "top", "try", "tue", "two", "use", "van", "via", "was", "way", "wed",
    "wee", "who", "why", "wks", "yes", "yet", "you", "yrs",
})  # fmt: skip


TWO_LETTERS = frozenset({
    "am", "as", "at", "be", "by", "do", "go", "he", "me", "my", "no", "of", "on", "or", "pm", "so",
    "to", "up", "us", "we", "ya", "nr", "ft", "ok", "eh", "gt", "mk", "pt", "rm", "wk", "yr",
})  # fmt: skip
MONTHS = frozenset({
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
})  # fmt: skip


def no_registration(raw: str) -> bool:
    """Say that "on30nov", "be in 20 min" or "an MG11 pad" is typed, and no registration."""
    compact = _letters_and_digits(raw.lower())
    first, last = compact[:2], compact[-3:]
    if first in TWO_LETTERS and last in MONTHS:
        return True
    if first in TWO_LETTERS and raw[2:3] == " " and raw[:2] != raw[:2].upper():
        return True  # "at 84 wpm"
    if last not in SHORT_WORDS | MONTHS and last not in {"pad", "ish", "ppl"}:
        return False
    letters = [ch for ch in raw if ch.isalpha()]
    if all(ch.isupper() for ch in letters):
        return False
    mixed = any(ch.isupper() for ch in letters) and raw[-1:].islower()
    return first in TWO_LETTERS or mixed or " " in raw


#: What else stands after the number of a road, a room, a seat or a race, or before one.
_AFTER_NUMBERS = frozenset({
    "rtc", "rta", "jab", "fun", "fan", "cap", "bed", "gig", "boy", "net", "bag", "ban", "bat",
    "bet", "bug", "bun", "cab", "cat", "cup", "cut", "dad", "den", "dog", "dry", "ear", "egg",
    "end", "eve", "fab", "fee", "few", "fly", "fog", "gap", "gas", "gel", "gem", "gun", "guy",
    "gym", "ham", "hat", "hay", "hen", "hug", "hut", "key", "lab", "lap", "law", "leg", "map",
    "mat", "med", "mud", "mug", "nan", "nap", "nhs", "nut", "pad", "pan", "pay", "pea", "pen",
    "pet", "ran", "rap", "raw", "red", "rep", "rub", "rug", "run", "sad", "sea", "spa", "sum",
    "tab", "tag", "tap", "tax", "tug", "vat", "vet", "wet", "bbc", "bbq", "dvd", "gdp", "hgv",
    "led", "pcs", "rpu", "suv", "usb", "wfh", "arv", "cps", "dna", "det", "faq", "hdd", "amg",
    "bmw", "amp", "app", "err", "max", "pts", "reg", "rev", "set", "ver", "vs", "yds",
})  # fmt: skip
_NO_LETTERS = SHORT_WORDS | MONTHS | _AFTER_NUMBERS


def vrm_letters(text: str, _: AgeRange) -> bool:
    """Check that an older registration is none of "A38 for an hour", "M6 RTC" and "buy 4d"."""
    letters = max(re.findall("[a-z]+", text), key=len)
    return letters not in _NO_LETTERS


def pnc_id(text: str, _: AgeRange) -> bool:
    """Check the letter of a PNC ID such as 2002/0073319Z: mod 23 of two-digit year and serial."""
    year, _slash, rest = text.replace(" ", "").partition("/")
    return _mod23(year[-2:] + rest[:-1].zfill(7), rest[-1])


def cro(text: str, _: AgeRange) -> bool:
    """Check the letter of a CRO number such as 097501/98T or, for a file of its own, SF39/1234A."""
    compact = text.replace(" ", "")
    serial, _slash, rest = compact.removeprefix("sf").partition("/")
    if compact.startswith("sf"):
        return _mod23(serial + rest[:-1], rest[-1])
    return _mod23(rest[:-1] + serial.zfill(6), rest[-1])


def asn(text: str, _: AgeRange) -> bool:
    """Check the letter of an arrest/summons number: year, force and system, serial, letter."""
    compact = _letters_and_digits(text)
    year, force, rest, letter = compact[:2], compact[2:6], compact[6:-1], compact[-1]
    for width in (2, 3):
        system, serial = rest[:width], rest[width:]
        number = _digits(force) + _digits(system) + year + serial.zfill(11)
        if serial.isdigit() and len(serial) <= 11 and _mod23(number, letter):
            return True
    return False


def nhs_number(text: str, _: AgeRange) -> bool:
    """Check the last figure of an NHS number: mod 11 with weights ten to two."""
    digits = _digits(text)
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    rest = 11 - sum(int(d) * (10 - at) for at, d in enumerate(digits[:9])) % 11
    return rest != 10 and rest % 11 == int(digits[9])


def nino(text: str, _: AgeRange) -> bool:
    """Check the prefix of a National Insurance number; it has no check digit."""
    compact = _letters_and_digits(text)
    return (
        compact[:2] not in {"bg", "gb", "kn", "nk", "nt", "tn", "zz"}
        and compact[0] not in "dfiquv"
        and compact[1] not in "dfioquv"
    )


def driving_licence(text: str, _: AgeRange) -> bool:
    """Check month, day and filling of a driver number; its check letters are not public."""
    compact = _letters_and_digits(text)
    month, day = int(compact[6:8]) % 50, int(compact[8:10])
    return 1 <= month <= 12 and 1 <= day <= 31 and not re.search("9[a-z]", compact[:5])


def card_number(text: str, _: AgeRange) -> bool:
    """Check a payment card or IMEI by Luhn's rule."""
    total = 0
    for at, digit in enumerate(reversed(_digits(text))):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def uk_position(text: str, _: AgeRange) -> bool:
    """Check that a position lies in or near the United Kingdom."""
    found = re.findall(r"-?[0-9]+\.[0-9]+", text)
    if len(found) < 2:
        return False
    latitude, longitude = float(found[0]), float(found[1])
    if "w" in text:
        longitude = -abs(longitude)
    return 49 <= latitude <= 61 and -9 <= longitude <= 2.5


def date_of_birth(text: str, _: AgeRange) -> bool:
    """Check that the figures could be a day, a month and a year."""
    found = [int(part) for part in re.findall("[0-9]+", text)[-3:]]
    if len(found) == 1:  # run together, as in 300695
        run = f"{found[0]:06}" if found[0] < 10**6 else f"{found[0]:08}"
        found = [int(run[:2]), int(run[2:4]), int(run[4:])]
    if len(found) == 2:  # with the month's name
        return 1 <= found[0] <= 31
    return len(found) == 3 and 1 <= found[0] <= 31 and 1 <= found[1] <= 12


def own_network(raw: str) -> bool:
    """Say that an address is of a home's or an office's own network, and leads to nobody."""
    parts = re.findall("[0-9]+", raw)
    first, second = int(parts[0]), int(parts[1])
    return (
        first in {0, 10, 127}
        or (first, second) in {(192, 168), (169, 254)}
        or (first == 172 and 16 <= second <= 31)
    )


def no_grid(raw: str) -> bool:
    """Say that "no 4010232137" or "so 123 456" is a word and a number, and no grid reference."""
    return raw[:2] in {"no", "No", "so", "So", "NO"} and (raw[:2] != "NO" or raw[2:3] != " ")


def iban(text: str, _: AgeRange) -> bool:
    """Check a bank account's number by ISO 7064, mod 97."""
    compact = _letters_and_digits(text)
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


NO_STREET = frozenset({
    "the", "this", "that", "our", "my", "his", "her", "their", "same", "next", "min", "mins",
    "minute", "minutes", "hour", "hours", "hrs", "mile", "miles", "doors", "down", "for", "and",
    "are", "was", "with", "from", "into", "out", "off", "any", "quid", "people", "lads", "cars",
    "pay", "price", "sun", "per", "half", "odd", "percent", "days", "weeks", "years", "degrees",
    "metres", "of", "by", "in", "on", "at", "to", "is", "it", "so", "cos", "be", "no", "or",
    "if", "up",
    "we", "he", "she", "me", "us", "go", "do", "am", "pm", "an", "you", "they", "have", "got",
    "then",
    "before", "after", "about", "there", "here", "not", "pints", "beers", "goals", "games",
})  # fmt: skip


def street(text: str, _: AgeRange) -> bool:
    """Check that "22 Pellworth Road" is not "10 minutes down the road"."""
    return not NO_STREET.intersection(re.findall("[a-z']+", text))


_NATO = {
    "alpha": "a", "alfa": "a", "bravo": "b", "charlie": "c", "delta": "d", "echo": "e",
    "foxtrot": "f", "golf": "g", "hotel": "h", "india": "i", "juliet": "j", "juliett": "j",
    "kilo": "k", "lima": "l", "mike": "m", "november": "n", "oscar": "o", "papa": "p",
    "quebec": "q", "romeo": "r", "sierra": "s", "tango": "t", "uniform": "u", "victor": "v",
    "whiskey": "w", "whisky": "w", "xray": "x", "yankee": "y", "zulu": "z",
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "niner": "9",
}  # fmt: skip
#: One word of the phonetic alphabet or one figure.
NATO_WORD = "(?:" + "|".join([*_NATO, "x-ray", "[0-9]{1,2}"]) + ")"
#: One word of the phonetic alphabet.
NATO_LETTER = "(?:" + "|".join(word for word, sign in _NATO.items() if sign.isalpha()) + "|x-ray)"


def spoken(text: str) -> str:
    """Put a registration that is spelt out together again: "alpha bravo one two" is "ab12"."""
    words = text.replace("x-ray", "xray").replace(",", " ").replace("-", " ").split()
    return "".join(_NATO.get(word, word) for word in words)


_ANY_VRM = re.compile(
    r"[a-hj-pr-y]{2}[0-9]{2}[a-hj-pr-z]{3}|[a-hj-npr-tv-y][1-9][0-9]{0,2}[a-hj-pr-y]{3}"
    r"|[a-hj-pr-y]{3}[1-9][0-9]{0,2}[a-hj-npr-tv-y]|[a-z]{0,2}[ijoux]?[a-z]{2}[1-9][0-9]{0,3}"
)


def vrm_spoken(text: str, _: AgeRange) -> bool:
    """Check that what was spelt out has the form of a registration."""
    return _ANY_VRM.fullmatch(spoken(text)) is not None
