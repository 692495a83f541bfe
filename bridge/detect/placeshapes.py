"""The forms of places: postcodes, streets and houses, grid references, positions, three words.

Never decides how much one counts: that is the policy's to say.
"""

from __future__ import annotations

from bridge.detect import identifiers as ids
from bridge.detect import names
from bridge.detect.shape import NAME, Shape

_WELSH = r"(?:heol|stryd|ffordd|rhodfa|lon|clos|maes|bryn|nant|llys|cwrt|rhiw|parc|pentre|tre|cae)"
#: Endings of streets that are hardly ever other words.
_STREET = (
    r"(?:road|rd|street|st|str|avenue|ave|av|lane|ln|crescent|cres|crs|terrace|terr|tce|gardens|"
    r"gdns|gdn|grove|"
    r"grv|mews|wharf|wynd|vennel|brae|lonnen|lonan|loan|ginnel|boulevard|blvd|cottages|villas|"
    r"mansions|maisonettes)"
)
#: Endings of streets that are also plain words.
_STREET_WORD = (
    r"(?:close|cl|clo|drive|drv|dr|court|ct|way|place|pl|plc|row|walk|wlk|square|sq|rise|hill|"
    r"view|green|"
    r"parade|pde|house|hse|park|pk|cross|bank|fold|garth|gate|orchard|orchards|meadow|meadows|"
    r"croft|"
    r"field|fields|dale|quay|chase|vale|heights|hgts|nook|buildings|bldgs|cut|causeway|circus|"
    r"approach|"
    r"passage|leys|lea|mead|steps|alley|yard|bungalows|cottage|farm|lodge|tower|towers|point|"
    r"flats|"
    r"end|side|top|common|heath|holme|holt|hey|ridge|mount|path|link|loke|pightle|broadway|"
    r"promenade|"
    r"esplanade|embankment|estate|spinney|copse|dell|glebe|paddock|paddocks|reach|sidings|"
    r"stables)"
)

PLACES: dict[str, Shape] = {
    # Places.
    "postcode": Shape(
        pattern=r"\b(?:gir ?0aa|[a-pr-uwyz](?:[0-9]{1,2}|[a-hk-y][0-9]|[a-hk-y][0-9]"
        r"[0-9abehmnprv-y]|[0-9][a-hjkps-uw]) ?[0-9][abd-hjlnp-uw-z]{2})\b"
    ),
    "street_address": Shape(
        pattern=rf"\b(?:(?:flat|apt) [0-9]{{1,3}}[a-z]?,? )?[0-9]{{1,4}}[a-z]?,? "
        rf"(?:[a-z][a-z'-]+ ){{1,3}}{_STREET}\b",
        check=ids.street,
    ),
    # In Wales the kind of street comes first.
    "street_address_welsh": Shape(
        pattern=rf"\b[0-9]{{1,4}}[a-z]?,? {_WELSH}(?:'r)?[ -](?:(?:y|yr|'r)[ -])?"
        r"[a-z][a-z'-]{2,}\b",
        check=ids.street,
    ),
    # Suffixes that are also plain words: for use with case: capital.
    "street_address_word": Shape(
        pattern=rf"\b[0-9]{{1,4}}[a-z]?,? (?:[a-z][a-z'-]+ ){{1,3}}{_STREET_WORD}\b",
        check=ids.street,
        ordinary=names.no_place_name,
    ),
    # In small letters: only with something of a matter near it.
    "street_address_plain": Shape(
        pattern=rf"\b[0-9]{{1,4}}[a-z]?,? (?:[a-z][a-z'-]{{3,}} ){{1,2}}{_STREET_WORD}\b",
        check=ids.street,
        ordinary=names.no_plain_street,
    ),
    # Several numbers of one street, or a number after it.
    "street_numbers": Shape(
        pattern=rf"\b[0-9]{{1,4}}[a-z]?(?:,| and| &| or| to| -|-)(?: ?[0-9]{{1,4}}[a-z]?(?:,|"
        rf" and| &| or)?){{0,3}}"
        rf" ?[0-9]{{1,4}}[a-z]? (?:{NAME} ){{1,2}}(?:{_STREET}|{_STREET_WORD})\b"
        rf"|\b(?:{NAME} ){{1,2}}(?:{_STREET}|{_STREET_WORD}),? (?:number|no\.?|nr|"
        rf"#) ?[0-9]{{1,4}}[a-z]?\b",
        ordinary=names.no_named_place,
    ),
    # A house or a street by its name alone.
    "house_named": Shape(
        pattern=rf"\b(?:{NAME} ){{1,2}}(?:cottages?|farm|farmhouse|house|barn|lodge|manor|grange|"
        rf"hall|"
        r"villa|villas|vicarage|rectory|convent|bungalow|court|tower|towers|flats|(?:caravan|"
        r"holiday|trade|business|"
        r"retail|industrial|trading) (?:park|estate|village)|hostel|hotel|inn|arms)\b",
        ordinary=names.no_named_place,
    ),
    "street_named": Shape(
        pattern=rf"\b(?:{NAME} {_STREET}|{_WELSH}(?: y| yr|'r)? {NAME})\b",
        ordinary=names.no_named_place,
    ),
    "corner": Shape(
        pattern=rf"\b(?:corner|junction|jct|junc) (?:of|with|by|at) (?:the )?{NAME}(?: {NAME})?"
        rf"(?: (?:and|&|with|/) | ?[/&] ?){NAME}\b",
    ),
    "room_numbered": Shape(
        pattern=r"\b(?:ward|bed|bay|room|rm|plot|unit|pitch|caravan|chalet|cell|vault|berth|"
        r"garage|lock-?up|"
        r"container|cabin|staircase|bungalow) ?[a-z]?[0-9]{1,4}[a-z]?\b"
    ),
    "flat_address": Shape(
        pattern=r"\b(?:flat|flt|apt|apartment|unit|room|plot|caravan|"
        r"chalet) [a-z]?[0-9]{1,4}[a-z]?,? "
        rf"(?:[0-9]{{1,4}}[a-z]?,? )?(?:(?:at|in) )?(?:[a-z][a-z'-]{{2,}} ){{1,2}}(?:{_STREET}|"
        rf"{_STREET_WORD})\b"
        rf"|\b(?:flat|apt) [0-9]{{1,3}}[a-z]?,? {_WELSH}(?: y| yr|'r)? {NAME}\b"
        rf"|\b[0-9]{{1,2}}/[0-9]{{1,2}},? [0-9]{{1,4}} (?:{NAME} ){{1,2}}(?:{_STREET}|"
        rf"{_STREET_WORD})\b",
        check=ids.street,
    ),
    "os_grid": Shape(
        pattern=r"\bgrid (?:ref |reference )?[a-z] ?[0-9]{3} ?[0-9]{3}\b|\b(?:h[ptuwxyz]|"
        r"n[a-hj-or-uw-z]|ov|s[c-eh-km-pr-z]|t[aflmqrv]|tg) ?"
        r"(?:[0-9]{3} ?[0-9]{3}|[0-9]{4} ?[0-9]{4}|[0-9]{5} ?[0-9]{5})\b",
        ordinary=ids.no_grid,
    ),
    "os_grid_short": Shape(
        pattern=r"\b(?:h[puy]|n[a-hj-or-uw-z]|s[c-eh-km-pr-z]|t[aflmqrv]|"
        r"tg) ?[0-9]{2} ?[0-9]{2}\b"
    ),
    "what3words": Shape(
        pattern=r"(?:///|\b(?:w3w|what ?(?:3|three) ?words)(?:\.com?)?[\s:/]{1,4}(?:is |of )?)"
        r"(?:[a-z]{3,18}[./][a-z]{3,18}[./][a-z]{3,18}|[a-z]{4,18},? [a-z]{4,18},? [a-z]{4,18})\b"
    ),
    # Without its sign it is three words with dots between; an address of a website ends shorter.
    "what3words_bare": Shape(
        pattern=r"(?:^|[\s(:/])[a-z]{4,}\.[a-z]{4,}\.[a-z]{4,}(?:$|[\s),;:?!/])",
        ordinary=names.no_three_words,
    ),
    "coordinates": Shape(
        pattern=r"\bn?(?:49|5[0-9]|60)"
        r"\.[0-9]{3,8}[^0-9a-z\n]?n?[, ]{1,2}-?[ew]?[0-8]\.[0-9]{3,8}",
        check=ids.uk_position,
    ),
    # Degrees, minutes and seconds.
    "coordinates_spelt": Shape(
        pattern=r"\b(?:49|5[0-9]|60)[^0-9a-z\n]{1,2}[0-5]?[0-9][^0-9a-z\n]{1,2}(?:[0-9.]{1,6}"
        r"[^0-9a-z\n]{1,2})?n[, ]{1,3}[0-8][^0-9a-z\n]{1,2}[0-5]?[0-9][^0-9a-z\n]{1,2}"
        r"(?:[0-9.]{1,6}[^0-9a-z\n]{0,2})?[ew]\b"
    ),
}
