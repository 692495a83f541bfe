"""The forms of the references that policing in the United Kingdom uses, by name.

Never decides how much one counts: that is the policy's to say. Patterns are matched against folded
text (lower-case ASCII). A form that also occurs in ordinary chat needs evidence near it; the policy
asks for that.
"""

from __future__ import annotations

from bridge.detect import identifiers as ids
from bridge.detect import names
from bridge.detect.caseshapes import CASES
from bridge.detect.goodshapes import GOODS
from bridge.detect.placeshapes import PLACES
from bridge.detect.shape import M23, MONTH, NAME, Shape

_MOBILE = r"(?:\+44[ .-]?\(?0?\)?[ .-]?7|\b(?:0044 ?|[0o] ?)7)(?:\)?[ .-]?[0-9]){9}\b"
_LANDLINE = (
    r"(?:\+44 ?\(?0?\)? ?|\(?\b0)(?:1[0-9]{2,4}|2[0-9]{1,2})\)?[ .-]{0,2}[0-9]{3,4}"
    r"[ .-]?[0-9]{3,4}\b"
)

#: A figure in words, or several: "double oh", "nine hundred".
_FIGURE = (
    r"(?:(?:double|treble|triple)[ -])?(?:oh|o|zero|nought|one|two|three|four|five|six|seven|eight|"
    r"nine|hundred)"
)

_PEOPLE_AND_THINGS: dict[str, Shape] = {
    # Vehicles.
    "vrm_current": Shape(
        pattern=r"\b[a-hj-y]{2}[0-9]{2}[ -]?[a-hj-z]{3}\b",
        check=ids.vrm_current,
        ordinary=ids.no_registration,
    ),
    # Nothing else in the message.
    "vrm_alone": Shape(
        pattern=r"^[^a-z0-9]*[a-hj-y]{2}[0-9]{2}[ -]?[a-hj-z]{3}(?:\.(?:png|jpe?g|heic|mp4))?"
        r"[^a-z0-9]*$",
        ordinary=ids.no_registration,
    ),
    "vrm_current_apart": Shape(
        pattern=r"\b[a-hj-y]{2}[ -][0-9]{2}[ -][a-hj-z]{3}\b"
        r"|\b[a-hj-y] [a-hj-y] [0-9] ?[0-9] [a-hj-z] [a-hj-z] [a-hj-z]\b"
        # further apart, or with a stop between
        r"|\b[a-hj-y]{2}[ -]?[0-9]{2}(?: {2,3}| ?[,./] ?)[a-hj-z]{3}\b",
        check=ids.vrm_current,
        ordinary=ids.no_registration,
    ),
    # A sign or two that a witness or a camera did not get.
    "vrm_masked": Shape(
        pattern=r"\b[a-hj-y]{2}[0-9]{2} ?(?:[*?.]{1,2}[a-hj-z]{1,2}|[a-hj-z][*?][a-hj-z]"
        r"|[a-hj-z]{1,2}[*]{1,2}|[*]{3})|\b[a-hj-y]{2}[0-9]{1,2} ?something\b"
    ),
    # Its halves, with a word between them, or the second spelt out.
    "vrm_halves": Shape(
        pattern=rf"\b[a-hj-y]{{2}} ?[0-9]{{2}}[,.]? (?:and |then )*(?:{ids.NATO_LETTER}[ ,]{{1,2}})"
        rf"{{2}}{ids.NATO_LETTER}\b|\b[a-hj-y]{{2}}[0-9]{{2}},? (?:and )?then [a-hj-z]{{3}}\b",
        ordinary=names.no_plate_half,
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
    # Part of one, said to be part.
    "vrm_ending": Shape(
        pattern=r"\b(?:(?:ends?|ending|ended|finishe[sd]|finishing) (?:in|with)|last (?:three|3|"
        r"bit|half|part|letters)"
        r"(?: letters)?(?: (?:in|is|are|was|with|on it))?)[ :]{1,2}(?:[a-hj-z]{3}|"
        r"[a-z] [a-z] [a-z])\b"
        r"|\b(?:ends?|ending|starts?|starting|begins?|partial)(?: in| with)? "
        r"(?:[0-9][a-hj-z]{2}|[a-hj-y]{2}[0-9]{2})\b",
        ordinary=names.no_plate_end,
    ),
    "vrm_ending_named": Shape(
        pattern=r"\b(?:reg|index|plate|vrm|partial)(?: [a-z]+){0,2} (?:ends?|ending|ended)(?: in|"
        r" with| is)?[ :]"
        r"[a-hj-z]{3}\b",
        ordinary=names.no_plate_end,
    ),
    "vrm_spoken_part": Shape(
        pattern=rf"\b(?:{ids.NATO_WORD}[ ,-]{{1,2}}){{2,4}}{ids.NATO_WORD}\b",
        ordinary=names.no_spelling,
    ),
    "vrm_foreign": Shape(
        pattern=r"\b(?:polish|romanian|bulgarian|irish|french|german|dutch|lithuanian|latvian|"
        r"spanish|foreign|lhd|"
        r"eu|euro|roi|southern|albanian|czech|slovak|hungarian)(?: (?:plates?|reg|plated|"
        r"registered|index|number))"
        r"(?: (?:is|of|on|on it))?[ :,]{0,2}(?:[a-z]{1,3}[ -]?[0-9]{2,6}[ -]?[a-z]{0,3}|"
        r"[0-9]{1,3}[ -]?[a-z]{1,2}[ -]?[0-9]{1,6}"
        r"|[a-z]{2}[ -]?[a-z0-9]{3,6}[0-9][a-z0-9]{0,3})\b"
        r"|\b(?:1[0-9]|2[0-9])[12]?-(?:c|ce|cn|cw|d|dl|g|ke|kk|ky|l|ld|lh|lk|lm|ls|mh|mn|mo|oy|"
        r"rn|so|t|w|wh|wx|ww)-[0-9]{1,6}\b"
    ),
    "vin": Shape(pattern=r"\b[a-hj-npr-z][a-hj-npr-z0-9]{10}[a-hj-npr-z0-9][0-9]{5}\b"),
    # People.
    "pnc_id": Shape(
        pattern=rf"\b(?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})/[0-9]{{1,7}}{M23}\b", check=ids.pnc_id
    ),
    "cro": Shape(
        pattern=rf"\b(?:[0-9]{{3,6}}/[0-9]{{2}}{M23}"
        rf"|sf ?(?:39|[4-8][0-9]|9[0-5])/[0-9]{{1,6}}{M23})\b",
        check=ids.cro,
    ),
    "asn": Shape(
        pattern=rf"\b[0-9]{{2}}/[0-9a-z]{{4}}/[0-9a-z]{{2,3}}/[0-9]{{1,11}}{M23}\b"
        rf"|\b[0-9]{{2}}[0-9a-z]{{6,7}}[0-9]{{11}}{M23}\b",
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
        pattern=r"\b(?:passport|ppt|id card|identity card|brp|student card|"
        r"travel document)\b[^0-9\n]{0,24}"
        r"\b(?:[0-9]{9}|[a-z]{1,3} ?[0-9]{6,9})\b"
    ),
    "licence_northern": Shape(
        pattern=r"\b(?:licence|license|dl|driver) ?(?:no|num|"
        r"number)?\.?[ :]{1,2}(?:is )?[0-9]{8}\b"
    ),
    "date_of_birth": Shape(
        pattern=r"\b(?:dob|d\.o\.b\.?|d/o/b|date of birth(?:'s)?|born(?: on)?|b\.)"
        r"[\s:.-]{0,3}(?:is |of |= ?|was |given as |given |gave )?"
        rf"(?:[0-9]{{1,2}}[/. -][0-9]{{1,2}}[/. -][0-9]{{2,4}}"
        rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?[ /.-]?(?:of )?{MONTH}[ /.,-]{{0,2}}(?:19|20)?[0-9]{{2}}"
        r"|[0-3][0-9][01][0-9](?:19|20)?[0-9]{2})\b",
        check=ids.date_of_birth,
    ),
    # A day on which somebody grown up may have been born: also any old date.
    "date_long_ago": Shape(
        pattern=r"\b(?:0?[1-9]|[12][0-9]|3[01])[/.-](?:0?[1-9]|1[0-2])[/.-](?:19[3-9][0-9]|"
        r"20(?:0[0-9]|1[0-4]))\b"
    ),
    # With the words in full, which are hardly said of one's own child.
    "dob_said": Shape(
        pattern=r"\b(?:dob|d\.o\.b\.?|d/o/b|date of birth)[\s:.-]{0,3}(?:is |of |= ?|was |"
        r"given as |given )?"
        r"(?:[0-9]{1,2}[/. -][0-9]{1,2}[/. -][0-9]{2,4}"
        rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?[ /.-]?(?:of )?{MONTH}[ /.,-]{{0,2}}(?:19|20)?[0-9]{{2}}"
        r"|[0-3][0-9][01][0-9](?:19|20)?[0-9]{2})\b",
        check=ids.date_of_birth,
    ),
    "ic_code": Shape(pattern=r"\bic ?-?[1-79]\b"),
    "described": Shape(
        pattern=r"\b(?:white|black|asian|mixed race|mixed-race|light skinned|dark skinned|"
        r"olive skinned|"
        r"eastern european|e/european|chinese|arabic|somali|albanian|romanian|polish|vietnamese)"
        r"[ /-](?:male|female|males|females|fem|lad|lads|man|men|woman|women|youth|youths|fella|"
        r"bloke|guy|girl|boy|kid|teen|teenager)\b|\b(?:w|b|a|mr|m/r)/[mf]\b"
    ),
    "height": Shape(
        pattern=r"\b[4-6] ?(?:'|ft\b|foot\b|\x1f) ?(?:(?:[0-9]|1[01]) ?(?:\"|''|in\b|ins\b|"
        r"inch\b|\x1f)?)?"
    ),
    # Two words with capitals and an age.
    "person_aged": Shape(
        pattern=rf"\b{NAME} {NAME}(?: {NAME})?,? \(?(?:aged? )?(?:[1-9][0-9])(?: ?(?:yrs?|years?|"
        rf"yo|y/o)(?: old)?)?"
        r"(?:[,.;:)]|$)",
        ordinary=names.no_person,
    ),
    # Words in a row, of which two may be a name: as much as a name alone can tell.
    "full_name": Shape(pattern=rf"\b{NAME}(?: {{1,2}}{NAME})+", ordinary=names.no_full_name),
    "person_titled": Shape(
        pattern=r"\b(?:mr|mrs|ms|miss|mx|dr)\.? [a-z][a-z'.-]{0,20}(?: [a-z][a-z'-]{2,})?\b",
        ordinary=names.no_titled,
    ),
    # Two words with capitals after a word that says whose name they are.
    "person_named": Shape(
        pattern=r"\b(?:(?:gave|gives?|giving|given) (?:the |a |his |her |us |us a )?(?:false |"
        r"wrong |brother's )?name(?: of| as)?|"
        r"name of|names?|named|gives|calls? (?:him|her)self|calling (?:him|her)self|"
        r"goes by|"
        r"aka|a\.k\.a\.?|alias|nominal|suspect|suspects|susp|sus|misper|subject|target|"
        r"accused|deceased|director|victim|vic|ip|complainant|witness|keeper|driver|"
        r"passenger|defendant|prisoner|detainee|dp|wanted|nicked|arrested|lifted|locked up|"
        r"charged|bailed|recall on|"
        r"recall for|warrant for|markers? (?:on|for)|intel on|pnc (?:on|for)|check on|"
        r"looking for|look for|"
        r"search for|statement from|obs on|name is|identified as|id'd as)"
        rf"(?: (?:lad|girl|boy|male|female|woman|man|kid|child|person|teen))?(?:'s| is| was| as|"
        rf" for)?[:,-]?(?: it's| is| a| an| one)? (?:mr |mrs |ms |miss |dr )?{NAME} {NAME}",
        ordinary=names.no_person_named,
    ),
    # A name and a date, whatever stands between its figures.
    "person_born": Shape(
        pattern=rf"\b{NAME} {NAME}[ ,:(-]{{1,3}}(?:dob |born |d\.o\.b\.? )?(?:0?[1-9]|[12][0-9]|"
        rf"3[01])[/. -]"
        r"(?:0?[1-9]|1[0-2])[/. -](?:19[3-9][0-9]|20[01][0-9]|[3-9][0-9]|0[0-9]|1[0-5])\b",
        ordinary=names.no_person_born,
    ),
    "collar_number": Shape(
        pattern=r"\b(?:pc|dc|ps|ds|sgt|pcso|insp|dci|di|wpc|spc) ?[0-9]{2,5}[a-z]{0,2}\b"
    ),
    # Ways to reach people.
    "mobile": Shape(pattern=_MOBILE),
    "landline": Shape(pattern=_LANDLINE),
    # Figure by figure, in words.
    "phone_spoken": Shape(
        pattern=rf"\b(?:oh|o|zero|nought)(?:[ ,.-]{{1,3}}{_FIGURE}){{6,14}}\b",
        ordinary=names.no_telephone,
    ),
    # The end of a handset's number.
    "handset_ending": Shape(
        pattern=r"\b(?:imei|handset|iccid)(?: no| number)?(?: is)? (?:ends?|ending|last five|"
        r"last four)(?: in| with| is)?[ :]{1,2}[0-9]{3,8}\b"
    ),
    "phone": Shape(pattern=f"(?:{_MOBILE}|{_LANDLINE})"),
    "sim": Shape(pattern=r"\b89(?:[ -]?[0-9]){16,18}\b"),
    "wallet": Shape(pattern=r"\b(?:bc1[a-z0-9]{8,62}|0x[0-9a-f]{12,40})\b"),
    "mac_address": Shape(pattern=r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"),
    # An account by its name: with a figure in it, or it would be any word.
    "handle": Shape(
        pattern=r"\b(?:snap|snapchat|insta|instagram|ig|kik|telegram|tiktok|tik tok|handle|"
        r"username|"
        r"user name|user|account|accounts|profile|facebook|fb|discord|gamertag|alias|screen name|"
        r"wickr|signal|tinder|grindr|hinge|reddit|twitter|x account)"
        r"(?:'s| is| name| called| under| as| id| of| was|,|:|-){0,2} ?[@\"']?"
        r"[a-z][a-z.]+[ .#-]?(?:[a-z]{1,20}[ .-]?)?#?[0-9]{1,6}\b|"
        r"\b[a-z]{3,}[ .-]?[a-z]*[0-9]{1,4},? on (?:snap|snapchat|insta|instagram|kik|"
        r"telegram|tiktok|discord|tinder|facebook)\b|(?:^|[^a-z0-9.@])@[a-z][a-z0-9. -]"
        r"{1,18}[0-9]{1,5}\b"
    ),
    "email": Shape(pattern=r"\b[a-z0-9.%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,10}\b"),
    "ip_address": Shape(
        pattern=r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|"
        r"1?[0-9]{1,2})\b",
        ordinary=ids.own_network,
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

SHAPES: dict[str, Shape] = {**_PEOPLE_AND_THINGS, **CASES, **GOODS, **PLACES}
