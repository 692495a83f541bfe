"""The marks of goods, animals, containers and trains, and numbers of which only the end is said.

Never decides how much one counts: that is the policy's to say.
"""

from __future__ import annotations

from bridge.detect import names
from bridge.detect.shape import NAME, Shape

_IS = r"(?: (?:no|nos|num|number|numbers|code|id|ref|is|was|reads?|shows?)){0,3}"

GOODS: dict[str, Shape] = {
    # What is stamped on a thing: a word that says what it is, then figures.
    "serial": Shape(
        pattern=rf"\b(?:serial|chassis|frame|engine|hull|cell|tag|hin|s/n|iccid|meid|bodycam|"
        rf"taser|sgc|fac|lcs|oyster|freight|manifest|consignment){_IS}[ :.#]{{1,3}}"
        r"(?:[a-z]{1,6}[ -]?)?[0-9][0-9a-z]*[0-9]{2}[0-9a-z]*\b"
    ),
    # A freight container: the letters of its owner, U, J or Z, and six or seven figures.
    "container": Shape(pattern=r"\b[a-z]{3}[ujz] ?[0-9]{6} ?[0-9]?\b"),
    # A farm's holding, a beast's ear tag, a chip under the skin.
    "animal_mark": Shape(
        pattern=r"\bcph[ :]{1,2}(?:no |number )?[0-9]{2}/[0-9]{3}/[0-9]{4}\b"
        r"|\buk ?[0-9]{6,7}[ -]?[0-9]{5,6}\b|\buk [0-9] [0-9]{6} [0-9]{5}\b"
        r"|\b9[0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}\b"
    ),
    # A train by its description, or by where it was going when.
    "head_code": Shape(pattern=r"\b[0-9][a-hj-np-z][0-9]{2}\b"),
    # The end of a number that is not said.
    "ending": Shape(
        pattern=r"\b(?:phone|mobile|mob|number|handset|sim|plate|reg|index|card|oyster|passport|"
        r"account|serial|imei|it|that|which)(?:'s)?(?: [a-z]+){0,2} (?:ends|ending|ended)"
        r"(?: in| with)? (?:[0-9]{3,4}|[0-9][a-z]{2}|[a-z]{1,2}[0-9]{2})\b"
    ),
    # A name, and a year or an age in years behind it.
    "person_year": Shape(
        pattern=rf"\b{NAME} {NAME},? \(?(?:b\.? ?|born (?:in )?)(?:19[3-9][0-9]|20[01][0-9])\b",
        ordinary=names.no_person_born,
    ),
    # Somebody by name, and where they are or what they do just now.
    "person_doing": Shape(
        pattern=rf"\b{NAME} {NAME}(?:'s| is| was|'s been| has been| has|)"
        r"(?: still| back| now| again)? "
        r"(?:gone to ground|gone from|holed up|hiding|lodging|lodges|lives|living|sleeps|sleeping|"
        r"stopping|staying|stays|in under|works nights|works at|barred|banned|wanted|signs on|"
        r"is due|is inside|outstanding|circulated|on the run|on the roof|on the bridge|on the tag|"
        r"on recall|on remand|on bail|on licence|in flat|in cell|in the (?:bin|cells|traps)|"
        r"in (?:the |a )?(?:second|first|top|back|ground|basement|attic|end) |"
        r"missing|legged it|made off|bailed|remanded|released|withdrawn|coughed)\b",
        ordinary=names.no_person_doing,
    ),
    # A name and an age behind it.
    "name_age": Shape(
        pattern=rf"\b{NAME}(?:,? \(|, )(?:aged? )?[1-9][0-9]?(?: ?(?:yrs?|years?|yo|y/o)(?: old)?)?"
        rf"(?:\)|[,.;]|$)|\b{NAME} {NAME} [1-9][0-9]? ?(?:yrs?|years?|yo|y/o)\b",
        ordinary=names.no_name_age,
    ),
    # Somebody by title, and the door.
    "titled_at": Shape(
        pattern=rf"\b(?:mr|mrs|ms|miss)\.? {NAME}(?: {NAME})?,?(?: (?:at|in|of|is at|is in))? "
        rf"(?:(?:the )?(?:flat|plot|chalet|room|bed|no|number|unit|pitch|house) ?[0-9]{{1,3}}|"
        rf"{NAME}(?: {NAME})? (?:cottage|farm|house|lodge|court|drove|hall|bungalow))\b",
        ordinary=names.no_titled,
    ),
    # An account by its name, with a dot or a line in it.
    "handle_joined": Shape(
        pattern=r"\b(?:snap|snapchat|insta|instagram|ig|kik|telegram|tiktok|tik tok|handle|"
        r"username|user|account|profile|facebook|fb|discord|wickr|signal|roblox|alias|called)"
        r"(?:'s| is| name| called| under| as| id| of| was|,|:|-){0,2} ?[@\"']?"
        r"[a-z0-9]{1,20}[. ][a-z0-9.]{2,20}\b",
        ordinary=names.no_joined_handle,
    ),
    # Somebody by name, and their address.
    "person_at": Shape(
        pattern=rf"\b(?:mr |mrs |ms |miss |dr )?{NAME}(?: {NAME})?,? (?:of |at |is at |- )?"
        rf"(?:flat |no |number |plot |chalet |unit )?[0-9]{{1,3}}[a-d]?,? {NAME}(?: {NAME})? "
        r"(?:road|rd|street|st|lane|ln|avenue|ave|close|cl|drive|dr|row|terrace|tce|way|gardens|gdns|crescent|cres|court|ct|"
        r"place|pl|grove|mews|walk|hill|rise|house|green|square|dene|view)\b",
        ordinary=names.no_person_at,
    ),
    # A passport whose number stands somewhat apart from the word.
    "passport_apart": Shape(
        pattern=r"\bpassports?\b(?:[ ,:-]{1,2}[a-z']+){1,9}[ ,:-]{1,3}"
        r"(?:[0-9]{9}|[a-z]{2} ?[0-9]{7})\b"
    ),
    # The code of a gate, a telephone or a safe, said with its figures.
    "code_said": Shape(
        pattern=r"\b(?:gate|door|key ?safe|alarm|entry|unlock|lock ?screen)(?: ?code| pin)?"
        r"(?: is|'s|:)? [0-9]{4,8}\b|\b(?:passcode|pin|pin code|unlock code|key ?safe(?: code)?)"
        r"(?: [a-z0-9]+){0,6}(?: is|'s|:) [0-9]{4,8}\b"
    ),
}
