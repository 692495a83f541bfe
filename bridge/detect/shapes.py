"""The forms of the references that policing in the United Kingdom uses, by name.

Never decides how much one counts: that is the policy's to say. Patterns are matched against folded
text (lower-case ASCII). A form that also occurs in ordinary chat needs evidence near it; the policy
asks for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.detect import identifiers as ids

_M23 = "[a-hj-np-rt-z]"
_SEP = r"[\s:.#=/-]{0,4}"
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_NO = r"(?:\s?(?:no|nos|num|number|ref|reference|id))?\.?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One form: what it looks like and, where it has one, its check."""

    pattern: str
    check: ids.Check | None = None
    #: Says that a place, as it was typed, is ordinary words that only look like the form.
    ordinary: ids.Ordinary | None = None


SHAPES: dict[str, Shape] = {
    # Vehicles.
    "vrm_current": Shape(
        pattern=r"\b[a-hj-y]{2}[0-9]{2}[ -]?[a-hj-z]{3}\b",
        check=ids.vrm_current,
        ordinary=ids.no_registration,
    ),
    "vrm_current_apart": Shape(
        pattern=r"\b[a-hj-y]{2}[ -][0-9]{2}[ -][a-hj-z]{3}\b",
        check=ids.vrm_current,
        ordinary=ids.no_registration,
    ),
    # A sign or two that a witness or a camera did not get.
    "vrm_masked": Shape(
        pattern=r"\b[a-hj-y]{2}[0-9]{2} ?(?:[*?.]{1,2}[a-hj-z]{1,2}|[a-hj-z][*?][a-hj-z]"
        r"|[a-hj-z]{1,2}[*]{1,2}|[*]{3})"
    ),
    "vrm_prefix": Shape(
        pattern=r"\b[a-hj-npr-tv-y][1-9][0-9]{0,2}[ -]?[a-hj-y]{3}\b", check=ids.vrm_letters
    ),
    "vrm_prefix_apart": Shape(
        pattern=r"\b[a-hj-npr-tv-y][ -][1-9][0-9]{1,2}[ -][a-hj-y]{3}\b", check=ids.vrm_letters
    ),
    "vrm_suffix": Shape(
        pattern=r"\b[a-hj-y]{3}[ -]?[1-9][0-9]{0,2}[a-hj-npr-tv-y]\b", check=ids.vrm_letters
    ),
    "vrm_q": Shape(pattern=r"\bq[1-9][0-9]{2}[ -]?[a-hj-pr-y]{3}\b"),
    "vrm_ni": Shape(pattern=r"\b[a-z]?(?:[a-y]z|i[abgjlw]|[joux]i)[ -]?[1-9][0-9]{0,3}\b"),
    "vrm_dateless": Shape(
        pattern=r"\b(?:reg|vrm|index|plate|plates|registration)"
        r"(?: (?:no|number|is|of|was|on it is|shows))?[ :.-]{1,3}"
        r"(?:[1-9][0-9]{0,3}[ -]?[a-z]{1,3}|[a-z]{1,3}[ -]?[1-9][0-9]{0,3})\b"
    ),
    "vrm_spoken": Shape(
        pattern=rf"\b(?:{ids.NATO_WORD}[ ,-]{{1,2}}){{4,7}}{ids.NATO_WORD}\b", check=ids.vrm_spoken
    ),
    "vin": Shape(pattern=r"\b[a-hj-npr-z][a-hj-npr-z0-9]{10}[a-hj-npr-z0-9][0-9]{5}\b"),
    # People.
    "pnc_id": Shape(
        pattern=rf"\b(?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})/[0-9]{{1,7}}{_M23}\b", check=ids.pnc_id
    ),
    "cro": Shape(
        pattern=rf"\b(?:[0-9]{{3,6}}/[0-9]{{2}}{_M23}"
        rf"|sf ?(?:39|[4-8][0-9]|9[0-5])/[0-9]{{1,6}}{_M23})\b",
        check=ids.cro,
    ),
    "asn": Shape(
        pattern=rf"\b[0-9]{{2}}/[0-9a-z]{{4}}/[0-9a-z]{{2,3}}/[0-9]{{1,11}}{_M23}\b"
        rf"|\b[0-9]{{2}}[0-9a-z]{{6,7}}[0-9]{{11}}{_M23}\b",
        check=ids.asn,
    ),
    "nhs_number": Shape(pattern=r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}\b", check=ids.nhs_number),
    "nino": Shape(pattern=r"\b[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]\b", check=ids.nino),
    "driving_licence": Shape(
        pattern=r"\b[a-z][a-z9]{4}[ -]?[0-9][0156][0-9][0-3][0-9]{2}[ -]?[a-z][a-z9][a-z0-9]"
        r"[ -]?[a-z]{2}\b",
        check=ids.driving_licence,
    ),
    "passport": Shape(
        pattern=r"\b(?:passport|ppt)\b[^0-9\n]{0,24}\b(?:[0-9]{9}|[a-z]{2}[0-9]{7})\b"
    ),
    "date_of_birth": Shape(
        pattern=r"\b(?:dob|d\.o\.b\.?|d/o/b|date of birth(?:'s)?|born(?: on)?|b\.)"
        r"[\s:.-]{0,3}(?:is |of |= ?|was )?"
        rf"(?:[0-9]{{1,2}}[/. -][0-9]{{1,2}}[/. -][0-9]{{2,4}}"
        rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?[ /.-]?(?:of )?{_MONTH}[ /.,-]{{0,2}}(?:19|20)?[0-9]{{2}}"
        r"|[0-3][0-9][01][0-9](?:19|20)?[0-9]{2})\b",
        check=ids.date_of_birth,
    ),
    "ic_code": Shape(pattern=r"\bic ?-?[1-79]\b"),
    "collar_number": Shape(
        pattern=r"\b(?:pc|dc|ps|ds|sgt|pcso|insp|dci|di|wpc|spc) ?[0-9]{2,5}[a-z]{0,2}\b"
    ),
    # Incidents and cases.
    "incident_number": Shape(
        pattern=r"\b(?:(?:cad|icad|ecad|fwin|iml)(?:\s?(?:no|num|number|ref))?\.?[\s:.#-]{0,3}"
        r"[0-9]{1,6}"
        r"|(?:incident|log|storm|inc)(?:\s?(?:no|num|number|ref))?\.?[\s:.#-]{0,3}[0-9]{3,6}"
        r"|(?:log|incident) (?:(?:no|num|number|ref)\b\.?[\s:#-]{0,3}[0-9]{1,6}|[0-9]{1,6} of))\b"
    ),
    "incident_of_day": Shape(
        pattern=r"\b[0-9]{3,5} of (?:the )?(?:today|yesterday|[0-9]{1,2}(?:st|nd|rd|th)?"
        r"(?:/[0-9]{1,2})?)\b"
    ),
    "reference_named": Shape(
        pattern=r"\b(?:crime|occurrence|occ|cris|crimint|custody|cust|exhibit|seal|urn|ptiurn|asn|"
        r"pnc(?:\s?id)?|pnd|cro|nominal|visor|marac|mappa|misper|intel|holmes|fpn|viper|athena|"
        r"niche|compact|merlin|vpn|ppn|dp\b|detained person|detention|dash|nrm|mash|crimestoppers|"
        r"pcr)"
        r"(?:\s(?:record|rec|report|log|file|entry|case|action|message|document|doc))?"
        rf"{_NO}(?:\s(?:is|was))?{_SEP}(?:[a-z]{{1,4}}[ /-]?)?[0-9][a-z0-9/*-]{{2,18}}\b"
    ),
    "reference_claimed": Shape(
        pattern=r"\b(?:(?:case|investigation|warrant|connect|officer|statement|property|file|job|"
        rf"licence|court|hospital|slip|search|report)\s(?:no|num|number)|ref|reference)\b\.?"
        rf"(?:\s(?:no|num|number))?(?:\s(?:is|was))?{_SEP}"
        r"(?:[a-z]{1,4}[ /-]?)?[0-9][a-z0-9/-]{3,18}\b"
    ),
    "exhibit": Shape(pattern=r"\b[a-z]{2,3}/[0-9]{1,3}\b"),
    "seal": Shape(pattern=r"\b(?:seal|bag)(?: (?:no|number))? ?[a-z]{0,3}[0-9]{5,9}\b"),
    "custody_slashed": Shape(pattern=r"\b[0-9]{2}[a-z]{1,3}/[0-9]{2,6}/[0-9]{2}\b"),
    "crime_lettered": Shape(pattern=r"\b[0-9]{2}/[a-z]{2,3}/[0-9]{3,6}\b"),
    "crime_dated": Shape(pattern=r"\b(?:ps|cr|ir|inc)-?20[0-9]{6}-?[0-9]{3,5}\b"),
    "crime_serial": Shape(pattern=r"\b[a-z]?[0-9]{5,7}/[0-9]{2}[a-z]?\b"),
    "crime_long": Shape(pattern=r"\b[1-9][0-9](?:1[5-9]|2[0-9])[0-9]{7}\b"),
    "crime_slashed": Shape(pattern=r"\b[0-9]{2}/[0-9]{3,7}/[0-9]{2}\b"),
    "imei": Shape(
        pattern=r"\b[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]\b", check=ids.card_number
    ),
    "court_case": Shape(pattern=rf"\b[0-9]{{2}}/[0-9]{{4}}/[0-9]{{1,6}}{_M23}\b"),
    "pti_urn": Shape(pattern=r"\b[0-9]{2}[a-z][a-z0-9][0-9]{5}[0-9]{2}\b"),
    "mg_form": Shape(pattern=r"\bmg ?(?:[1-9]|1[0-9]|2[01])[a-f]?(?:'?s)?\b"),
    # The Home Office's class of an offence.
    "offence_class": Shape(pattern=r"\b[0-9]{3}/[0-9]{2}\b"),
    # Ways to reach people.
    "mobile": Shape(
        pattern=r"(?:\+44[ -]?\(?0?\)?[ -]?7|\b(?:0044 ?|[0o])7)[0-9]{3}\)?"
        r"[ -]?[0-9]{3}[ -]?[0-9]{3}\b"
    ),
    "landline": Shape(
        pattern=r"(?:\+44 ?\(?0?\)? ?|\(?\b0)(?:1[0-9]{2,4}|2[0-9]{1,2})\)?[ -]{0,2}[0-9]{3,4}"
        r"[ -]?[0-9]{3,4}\b"
    ),
    "email": Shape(pattern=r"\b[a-z0-9.%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,10}\b"),
    "ip_address": Shape(
        pattern=r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\b",
        ordinary=ids.own_network,
    ),
    # Places.
    "postcode": Shape(
        pattern=r"\b(?:gir ?0aa|[a-pr-uwyz](?:[0-9]{1,2}|[a-hk-y][0-9]|[a-hk-y][0-9]"
        r"[0-9abehmnprv-y]|[0-9][a-hjkps-uw]) ?[0-9][abd-hjlnp-uw-z]{2})\b"
    ),
    "street_address": Shape(
        pattern=r"\b(?:(?:flat|apt) [0-9]{1,3}[a-z]?,? )?[0-9]{1,4}[a-z]?,? "
        r"(?:[a-z][a-z'-]{2,20} ){1,3}"
        r"(?:road|rd|street|st|avenue|ave|av|lane|ln|crescent|cres|terrace|gardens|gdns|grove|mews|"
        r"wharf)\b",
        check=ids.street,
    ),
    # Suffixes that are also plain words: for use with case: capital.
    "street_address_word": Shape(
        pattern=r"\b[0-9]{1,4}[a-z]?,? (?:[a-z][a-z'-]{2,20} ){1,3}"
        r"(?:close|cl|drive|dr|court|ct|way|place|pl|row|walk|square|rise|hill|view|green|parade|"
        r"house)\b",
        check=ids.street,
    ),
    "flat_address": Shape(
        pattern=r"\b(?:flat|apt|apartment|unit|room) [0-9]{1,4}[a-z]?,? (?:[0-9]{1,4}[a-z]?,? )?"
        r"(?:[a-z][a-z'-]{2,20} ){1,2}"
        r"(?:house|court|tower|point|lodge|heights|wharf|mansions|road|rd|street|st)\b"
    ),
    "os_grid": Shape(
        pattern=r"\b(?:h[ptuwxyz]|n[a-hj-or-uw-z]|ov|s[c-eh-km-pr-z]|t[aflmqrv]|tg) ?"
        r"(?:[0-9]{3} ?[0-9]{3}|[0-9]{4} ?[0-9]{4}|[0-9]{5} ?[0-9]{5})\b",
        ordinary=ids.no_grid,
    ),
    "os_grid_short": Shape(
        pattern=r"\b(?:h[puy]|n[a-hj-or-uw-z]|s[c-eh-km-pr-z]|t[aflmqrv]|tg) ?[0-9]{2} ?[0-9]{2}\b"
    ),
    "what3words": Shape(
        pattern=r"(?:///|\b(?:w3w|what ?(?:3|three) ?words)(?:\.com?)?[\s:/]{1,4}(?:is |of )?)"
        r"(?:[a-z]{3,18}\.[a-z]{3,18}\.[a-z]{3,18}|[a-z]{4,18} [a-z]{4,18} [a-z]{4,18})\b"
    ),
    "coordinates": Shape(
        pattern=r"\bn?(?:49|5[0-9]|60)\.[0-9]{3,8}[^0-9a-z\n]?n?[, ]{1,2}-?[ew]?[0-8]\.[0-9]{3,8}",
        check=ids.uk_position,
    ),
    # Degrees, minutes and seconds.
    "coordinates_spelt": Shape(
        pattern=r"\b(?:49|5[0-9]|60)[^0-9a-z\n]{1,2}[0-5]?[0-9][^0-9a-z\n]{1,2}(?:[0-9.]{1,6}"
        r"[^0-9a-z\n]{1,2})?n[, ]{1,3}[0-8][^0-9a-z\n]{1,2}[0-5]?[0-9][^0-9a-z\n]{1,2}"
        r"(?:[0-9.]{1,6}[^0-9a-z\n]{0,2})?[ew]\b"
    ),
    # Money.
    "bank_details": Shape(
        pattern=r"\b(?:[0-9]{2}[ -][0-9]{2}[ -][0-9]{2}"
        r"|(?:sort code|sortcode|s/c|sc)[ :.-]{1,3}[0-9]{6})"
        r"[ ,/a-z:.]{1,24}[0-9]{8}\b"
        r"|\b[0-9]{8}[ ,/a-z:.]{1,24}[0-9]{2}[ -][0-9]{2}[ -][0-9]{2}\b"
    ),
    "iban": Shape(pattern=r"\bgb[0-9]{2} ?[a-z]{4} ?(?:[0-9]{4} ?){3}[0-9]{2}\b", check=ids.iban),
    "card_number": Shape(
        pattern=r"\b[3-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b", check=ids.card_number
    ),
}
