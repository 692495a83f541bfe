"""Tells a name, a place or a reference from ordinary words that only look like one.

Never knows a name: it looks at capitals, figures and small words as they were typed, and says only
what is surely none.
"""

from __future__ import annotations

import re

from bridge.detect.identifiers import MONTHS, NO_STREET, SHORT_WORDS, TWO_LETTERS, spoken


def _words(raw: str) -> list[str]:
    return re.findall(r"[^\W\d_][^\W\d_'\u2019-]*", raw)


_SMALL = frozenset({
    "of", "the", "on", "in", "y", "yr", "le", "la", "under", "upon", "by", "at", "and", "or", "to",
    "number", "no", "nr",
})  # fmt: skip
#: Words that begin a sentence or a list with a capital, and no name of a place.
_NO_PLACE = frozenset({
    "the", "this", "that", "our", "my", "his", "her", "their", "your", "same", "next", "a", "an",
    "in", "on", "at", "from", "to", "for", "no", "new", "full", "open", "safe", "care", "front",
    "back", "whole", "old", "every", "each", "which", "what", "another", "one", "two", "three",
    "is", "and", "or", "just", "down", "up", "main", "side", "by", "near", "behind", "outside",
    "crown", "magistrates", "family", "ring", "slip", "service", "private", "dirt", "country",
    "high", "supreme", "county", "youth", "green", "white",
    "public", "guest", "town", "village", "city", "mess", "halfway", "custody", "parade",
})  # fmt: skip


def no_place_name(raw: str) -> bool:
    """Say that the words before the figures or after them have no capitals, so are no name."""
    words = [word for word in _words(raw) if word.lower() not in _SMALL]
    names = [word for word in words if len(word) > 1 or not words]
    if len(names) < 2 or names[0].lower() in _NO_PLACE:
        return True
    return not (names[0][:1].isupper() and names[-1][:1].isupper())


def no_named_place(raw: str) -> bool:
    """Say that a place has no name with capitals; small words before it are no part of it."""
    words = [word for word in _words(raw) if word.lower() not in _SMALL]
    while words and not words[0][:1].isupper():
        words.pop(0)
    return len(words) < 2 or words[0].lower() in _NO_PLACE or not words[-1][:1].isupper()


_PLAIN_ENDS = frozenset({
    "way", "end", "side", "top", "point", "place", "row", "walk", "house", "court", "gate", "link",
    "bank", "path", "reach", "mount", "common", "yard", "field", "fields", "cross", "cut", "pl",
    "steps", "square", "circus", "mead", "passage", "view", "estate", "flats", "cottage", "farm",
})  # fmt: skip


def no_plain_street(raw: str) -> bool:
    """Say that "20 minute drive" and "2 course meal place" are typed, and no street."""
    words = [word.lower() for word in _words(raw)]
    if raw[:2] in {"2 ", "4 "} and words and words[0] not in _BIG and len(words) == 2:
        return words[-1] not in {
            "close",
            "drive",
            "court",
            "rise",
            "square",
            "walk",
            "place",
            "parade",
        }
    if len(words) < 2 or NO_STREET.intersection(words) or _NO_STREET_WORD.intersection(words[:-1]):
        return True
    return len(words) == 2 and words[-1] in _PLAIN_ENDS and words[0].endswith(("ing", "ed", "s"))


_BIG = frozenset({"north", "south", "east", "west", "upper", "lower", "high", "church", "station"})
_NO_STREET_WORD = frozenset({
    "test", "each", "way", "long", "more", "weeks", "months", "year", "month", "week", "hour",
    "person", "course", "bedroom", "seater", "door", "minute", "mile", "metre", "yard", "yards",
    "quick", "nice", "good", "great", "free", "over", "under", "after", "before", "about", "round",
    "still", "then", "when", "where", "what", "they", "have", "were", "been", "will", "would",
    "goals", "games", "points", "pints", "beers", "times", "sheets", "slices", "cups", "spoons",
    "your", "there", "here", "left", "right", "near", "close", "till", "until", "onto", "through",
    "people", "others", "kids", "blokes", "women", "girls", "boys", "sausage", "bacon",
})  # fmt: skip


_NO_THREE_WORDS = frozenset({
    "www", "http", "https", "info", "online", "shop", "police", "photos", "example", "docs",
    "mail", "well", "this", "that", "just", "okay", "yeah", "what", "anyway", "right", "maybe",
    "same", "jpeg", "docx", "xlsx", "html", "json", "conf", "yaml", "please", "never", "hello",
})  # fmt: skip


def no_three_words(raw: str) -> bool:
    """Say that "www.example.museum" or "well.this.is" is typed, and no place in three words."""
    words = raw.strip(" \t\n(),;:?!/").split(".")
    return raw != raw.lower() or not _NO_THREE_WORDS.isdisjoint(words)


def no_log_of_day(raw: str) -> bool:
    """Say that "2 of the 12" is typed, and no log of a day: it has three figures or a month."""
    figures = len(re.split("[^0-9]", raw, maxsplit=1)[0])
    last = raw.lower().split("of")[-1]
    return figures < 2 or (
        figures == 2 and not re.search("[/.]|jan|feb|mar|apr|may|ju[nl]|aug|sep|oct|nov|dec", last)
    )


_NO_REFERENCE = re.compile(
    r"24/7/365|(?:am|pm|on|off|and|or|to|in|up|w|c|a|b|s|hr|hrs|day|n|p|t|q|st|rd|wk|yr|km|mph|kg|lb)/[0-9]"
    r"|(?:covid|iphone|mg|mk|ps|ak|xbox|ford|type|area|form|lot|kia|a|b|m|e|u|u1[0-9]|top|under|over|age|aged|pre|post|mid|"
    r"sub|non|anti|re|the|of|at|ish|no|day|week|year|from|till|until|circa|since)-[0-9]"
    r"|20[0-9]{2}-(?:[0-9]{2}|20[0-9]{2})$|[0-9]{2}-(?:20|19)[0-9]{2}$|[0-9]{1,2}/[a-z]{3}/[0-9]{2,4}$"
)


def no_reference(raw: str) -> bool:
    """Say that "w/1200", "covid-19" or "2019-2026" is typed, and no reference."""
    return _NO_REFERENCE.match(raw.lower()) is not None


def no_regina(raw: str) -> bool:
    """Say that the name after "R v" has no capital, or that "r v good" is typed."""
    return not (raw[:1].isupper() and raw.rsplit(maxsplit=1)[-1][:1].isupper())


#: Capitals that are no names of people.
_NO_NAME = frozenset({
    "january", "february", "march", "april", "june", "july", "august", "september", "october",
    "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct",
    "nov", "dec", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "mon", "tue", "tues", "wed", "thu", "thurs", "fri", "sat", "sun", "premier", "league", "city",
    "united", "rovers", "town", "county", "cup", "test", "match", "room", "road", "street", "lane",
    "avenue", "close", "drive", "house", "court", "flat", "unit", "station", "hotel", "park",
    "the",
    "this", "that", "there", "they", "then", "what", "when", "where", "who", "why", "how", "just",
    "only", "still", "been", "good", "happy", "birthday", "team", "shift", "rota", "late", "early",
    "nights", "lates", "earlies", "day", "week", "weekend", "year", "christmas", "easter", "new",
    "not", "and", "but", "can", "could", "will", "would", "have", "has", "had", "was", "were",
    "is", "are", "for", "with", "from", "level", "chapter", "part", "band", "top", "about", "over",
    "pace", "sergeant", "inspector", "constable", "response", "block", "op", "operation", "bmw",
    "ford", "audi", "golf", "sky", "bbc", "itv", "netflix", "xbox", "iphone", "tesco", "please",
    "got", "need", "anyone", "someone", "back", "out", "off", "all", "any", "bit", "her", "his",
    "your", "our", "its", "it's", "he's", "she's", "hes", "shes", "on", "at", "in", "to", "of",
    "cctv", "pnc", "anpr", "no", "yes", "mot", "asap", "omg", "wtf", "lol", "big", "old", "little",
    "uncle", "auntie", "nan", "dad", "mum", "sarge", "skip", "skipper", "boss", "guv", "sir",
    "ma'am", "male", "female", "ic1", "white", "black", "asian", "thanks", "cheers", "morning",
    "sgt", "pc", "ps", "dc", "ds", "di", "dci", "insp", "dr", "pcso", "super", "stop", "search",
    "check", "warrant", "bail", "custody", "intel", "crown", "magistrates",
})  # fmt: skip


def _is_name(words: list[str]) -> bool:
    """Say whether these words, as typed, look like the first and the last name of a person."""
    return len(words) >= 2 and all(
        len(word) > 1 and word[0].isupper() and not word.isupper() and word.lower() not in _NO_NAME
        for word in words
    )


_TWO_WORDS = re.compile(
    r"(?<![\w'\u2019-])(?=([^\W\d_][\w'\u2019-]+) {1,2}([^\W\d_][\w'\u2019-]+))"
)
#: Where a name is no part of a matter: what is sold, sung, or celebrated.
_NO_MATTER = frozenset({
    "selling", "ticket", "tickets", "welcome", "congratulations", "congrats", "birthday", "wedding",
    "retirement", "band", "gig", "concert", "choir", "album", "episode", "season",
})  # fmt: skip
#: So long a last name may be in capitals, as police write it.
_LONG_NAME = 5


def no_full_name(raw: str) -> bool:
    """Say that no two words beside each other look like the first and the last name of a person."""
    if not _NO_MATTER.isdisjoint(raw.lower().split()):
        return True
    return not any(
        _is_name([first, _as_last_name(last)]) for first, last in _TWO_WORDS.findall(raw)
    )


def _as_last_name(word: str) -> str:
    word = word.replace("\u2019", "'").removesuffix("'s")
    return word.title() if word.isupper() and len(word) >= _LONG_NAME else word


def no_person(raw: str) -> bool:
    """Say that the words before an age are no name."""
    words = [word for word in _words(raw) if word.lower() not in _AGE_WORDS]
    return not _is_name(words[-2:])


_AGE_WORDS = frozenset(
    {"age", "aged", "yrs", "yr", "year", "years", "yo", "y", "o", "old", "dob", "born", "d", "b"}
)


def no_titled(raw: str) -> bool:
    """Say that the title or the name has no capital, or that it is Mr Whippy."""
    words = raw.replace(".", " ").split()
    named = [word for word in words[1:] if word[:1].isupper()]
    return not named or named[0].lower() in {
        "whippy", "kipling", "bean", "muscle", "men", "blobby", "potato", "grumble", "miyagi",
        "hyde",
        "brown's", "doubtfire", "claus", "bates", "t", "darcy", "who", "no", "pepper", "martens",
        "dre", "nice",
        "beast", "tickle", "motivator", "sheen", "spock", "incredible", "mop", "tumble", "hinch",
    }  # fmt: skip


def no_person_named(raw: str) -> bool:
    """Say that what follows "name of" or "suspect is" is no name."""
    return not _is_name(_words(raw)[-2:])


def no_person_born(raw: str) -> bool:
    """Say that the two words before a date are no name."""
    words = [word for word in _words(raw) if word.lower() not in _AGE_WORDS]
    return not _is_name(words[:2])


def no_person_doing(raw: str) -> bool:
    """Say that the two words before what somebody does are no name."""
    return not _is_name([word.removesuffix("'s") for word in _words(raw)[:2]])


def no_person_at(raw: str) -> bool:
    """Say that no name stands before an address: neither two words of one, nor a title and one."""
    words = _words(re.split("[0-9]", raw, maxsplit=1)[0])
    if words and words[0].lower() in _TITLES:
        return len(words) < 2 or not words[1][:1].isupper()
    return not _is_name(words[:2])


def no_name_age(raw: str) -> bool:
    """Say that what stands before an age has no capital, or is a month, a day or a team."""
    words = [word for word in _words(raw) if word.lower() not in _AGE_WORDS]
    return not words or not all(
        len(word) > 2 and word[0].isupper() and not word.isupper() and word.lower() not in _NO_NAME
        for word in words
    )


def no_joined_handle(raw: str) -> bool:
    """Say that no line and no dot joins the parts of a name: "called it off", "insta is down"."""
    return re.search(r"[A-Za-z0-9](?:_|\.[a-z0-9])[A-Za-z0-9]", raw) is None


_TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr"})


def no_plate_end(raw: str) -> bool:
    """Say that "ends the" or "last bit out" is typed, and no end of a registration."""
    typed = raw.lower().split()[-1]
    last = re.sub("[^a-z]", "", typed)
    if last != typed:  # with figures
        return last in {"am", "pm", "th", "st", "nd", "rd", "hr", "km", "mb", "gb", "ft", "yr"}
    return last in SHORT_WORDS | MONTHS or last in {
        "with", "this", "off", "day", "bit", "wks", "pm", "am", "row", "six", "mad", "bad",
        "sad", "cup", "jan",
    } or (len(last) == 3 and not raw.rsplit(maxsplit=1)[-1].isupper())  # fmt: skip


def no_telephone(raw: str) -> bool:
    """Say that the figures that are spelled out come to no telephone number: it was counted."""
    figures, times = 0, 1
    for word in re.findall("[a-z]+", raw.lower()):
        if word in {"double", "treble", "triple"}:
            times = 2 if word == "double" else 3
        else:
            figures += 2 if word == "hundred" else times
            times = 1
    return figures not in {10, 11}


def no_plate_half(raw: str) -> bool:
    """Say that "by12 then all" is typed: three small letters that are no spelling."""
    last = raw.rsplit(maxsplit=1)[-1]
    return len(last) == 3 and not last.isupper()


def no_call_sign(raw: str) -> bool:
    """Say that "hotel 24" or "at20" is typed: one word in small letters, or two letters."""
    words = _words(raw)
    if len(words) == 1 and len(words[0]) == 2:
        return not words[0].isupper() or words[0].lower() in TWO_LETTERS
    return len(words) == 1 and words[0].islower() and "-" not in raw


def no_operation(raw: str) -> bool:
    """Say that "Op Monday" or "op went" is typed, and no name of an operation."""
    name = raw.rsplit(maxsplit=1)[-1]
    return not name[:1].isupper() or name.lower() in _NO_NAME | {
        "art", "well", "went", "amp", "eds", "shop", "order", "orders", "theatre", "room", "cit",
    }  # fmt: skip


def no_spelling(raw: str) -> bool:
    """Say that "one two three" or "golf hotel" is typed: too few letters, or figures alone."""
    compact = spoken(raw.lower())
    letters = sum(1 for ch in compact if ch.isalpha())
    figures = sum(1 for ch in compact if ch.isdigit())
    return letters < 2 or figures < 1
