"""The forms of references of cases: logs, crimes, custody, exhibits, files, channels, operations.

Never decides how much one counts: that is the policy's to say.
"""

from __future__ import annotations

from bridge.detect import identifiers as ids
from bridge.detect import names
from bridge.detect.shape import M23, MONTH, Shape

_SEP = r"[\s:.#=/-]{0,4}"
_NO = r"(?:\s?(?:no|nos|num|number|ref|reference|id))?\.?"

CASES: dict[str, Shape] = {
    # Incidents and cases.
    "incident_number": Shape(
        pattern=r"\b(?:(?:cad|icad|ecad|fwin|iml)(?:\s?(?:no|num|number|ref))?\.?[\s:.#-]{0,3}"
        r"[0-9]{1,6}"
        r"|(?:incident|log|storm|inc)(?:\s?(?:no|num|number|ref))?\.?[\s:.#-]{0,3}[0-9]{3,6}"
        r"|(?:log|incident|job|serial) (?:(?:no|num|number|ref)\b\.?[\s:#-]{0,3}[0-9]{1,6}|"
        r"[0-9]{1,6} of)"
        r"|(?:inc|cad|log|cc|occ)-[0-9]{2,6}-[0-9]{2,6}|cc ?-?20[0-9]{2}[0-9-]{4,12})\b"
    ),
    "incident_of_day": Shape(
        pattern=r"\b[0-9]{1,5} of (?:the )?(?:today|todays|yesterday|(?:mon|tues|wednes|thurs|"
        r"fri|satur|sun)day"
        r"|[0-9]{1,2}(?:st|nd|rd|th)?(?:[/.-][0-9]{1,2}(?:[/.-][0-9]{2,4})?"
        rf"| (?:of )?{MONTH}|{MONTH})?)\b"
        rf"|\b[0-9]{{3,5}}[/-][0-9]{{1,2}} ?{MONTH}(?:[0-9]{{2,4}})?\b",
        ordinary=names.no_log_of_day,
    ),
    "reference_named": Shape(
        pattern=r"\b(?:crime|occurrence|occ|cris|crimint|custody|cust|exhibit|seal|urn|ptiurn|"
        r"asn|"
        r"pnc(?:\s?id)?|pnd|cro|nominal|visor|marac|mappa|misper|intel|holmes|fpn|viper|athena|"
        r"niche|compact|merlin|vpn|ppn|dp\b|detained person|detention|dash|nrm|mash|"
        r"crimestoppers|"
        r"pcr|crn|spr|cpn|nca|las|ncmec|iopc|hmcts|ukvi|nfib|action fraud|asb|sar|nicl|nabis|"
        r"viva|socrates|forensic|lab|extraction|production|productions|"
        r"bodyworn|body worn|bwv|bodycam|callsign|call sign|talkgroup|talk group|"
        r"joint report|collision file|collision report|stop slip|stop search|fip|smr|storm|unifi|"
        r"genie|"
        r"nominal index|pin number|prison|noms|crb|ncrs|op ref|operation ref|bail|case file|"
        r"docket|"
        r"warrant|cert|certificate|authority|property|prop)"
        r"(?:\s(?:record|rec|photo|image|pic|report|log|file|entry|case|action|message|document|"
        r"doc))?"
        rf"{_NO}(?:\s(?:is|was))?{_SEP}(?:[a-z]{{1,4}}[ /-]?)?[0-9][a-z0-9/*-]{{2,18}}\b"
    ),
    "reference_claimed": Shape(
        pattern=r"\b(?:(?:case|investigation|warrant|connect|officer|collar|shoulder|epaulettes?|"
        r"statement|property|file|job|"
        rf"licence|court|hospital|slip|search|report)\s(?:no|num|number)|ref|reference)\b\.?"
        rf"(?:\s(?:no|num|number))?(?:\s(?:is|was))?{_SEP}"
        r"(?:[a-z]{1,4}[ /-]?)?[0-9][a-z0-9/-]{3,18}\b"
    ),
    "exhibit": Shape(pattern=r"\b[a-z]{2,4} ?/ ?[0-9]{1,3}[a-z]?\b"),
    "exhibit_run": Shape(pattern=r"\b[a-z]{2,3}[0-9]{1,3}\b"),
    "exhibit_named": Shape(
        pattern=r"\b(?:exhibit|exh|exhibits|exib|production)s?(?: (?:no|ref|number|label|"
        r"labels))?[ .:#]{1,3}"
        r"(?:[a-z]{2,4}[ /-]{0,3}[0-9]{1,3}|[0-9]{1,4}|[a-z]/[0-9]{1,3})\b"
    ),
    "seal": Shape(pattern=r"\b(?:seal|bag)(?: (?:no|number))? ?[a-z]{0,3}[0-9]{5,9}\b"),
    "custody_slashed": Shape(pattern=r"\b[0-9]{2}[a-z]{1,3}/[0-9]{2,6}/[0-9]{2}\b"),
    "crime_lettered": Shape(
        pattern=r"\b[0-9]{2}/[a-z]{2,3}/[0-9]{3,6}\b|\b[0-9]{2}[*][0-9]{5,7}\b"
    ),
    "crime_dated": Shape(pattern=r"\b(?:ps|cr|ir|inc)-?20[0-9]{6}-?[0-9]{3,5}\b"),
    "crime_serial": Shape(pattern=r"\b[a-z]{0,2}[0-9]{5,10}[a-z]?/[0-9]{2}[a-z]?\b"),
    # Letters, a number and a year, in any order, between slashes or hyphens.
    "reference_slashed": Shape(
        pattern=r"\b(?:[a-z]{1,6}/(?:[a-z]{1,6}/)?[0-9]{2,7}(?:-[0-9]{2,6})?/?-?[0-9]{2,7}[a-z]?"
        r"|[a-z]{1,5}/[a-z]{1,5}/[0-9]{2,7}|[0-9]{2,7}/[a-z]{1,4}/[0-9]{2,7}|"
        r"[0-9]{1,7}-?[0-9]{2,7}/[a-z]{1,3}"
        r"|[a-z]{1,5}/[0-9]{3,7}|[a-z]{2,5}/[0-9]{2,4}/[a-z]{2,4})\b",
        ordinary=names.no_reference,
    ),
    "reference_hyphened": Shape(
        pattern=r"\b(?:[a-z]{1,5}-(?:[a-z]-)?[0-9]{2,8}-?[0-9]{2,8}|[a-z]{2,4}-[0-9]{4,8}|"
        r"[a-z]{2}[0-9]{2}-[0-9]{4,8}"
        r"|20[2-4][0-9]-[0-9]{3,8}|[0-9]{2}-[0-9]{4,8})\b",
        ordinary=names.no_reference,
    ),
    # Letters and figures run together, after a word that makes them a reference.
    "reference_plain": Shape(
        pattern=r"\b[a-z]{2,5}[0-9]{9,14}\b|\b(?:under|ref|refs|reference|file|report|log|number|"
        r"no|num|linked to|link to|links to|lodged as|"
        r"crimed|recorded|submitted as|is|it's|about|on|for|from|re|with|oic|in:|of)[ :#.]{1,3}"
        r"(?:[a-z]{1,4}[0-9]{4,12}[a-z]?|[a-z]{1,4} [0-9]{5,12}|[0-9]{8,12})\b"
    ),
    "crown_court": Shape(pattern=r"\b[tsau]20[0-9]{2}[ -]?[0-9]{4}\b"),
    "prison_number": Shape(pattern=r"\b[a-z][0-9]{4}[a-hj-npr-z][a-z]\b"),
    # The Crown against somebody.
    "regina": Shape(pattern=r"\br v\.? [a-z][a-z'-]{2,}\b", ordinary=names.no_regina),
    "custody_short": Shape(pattern=r"\b(?:cu|cr|dp|cust|det)[ -]?[0-9]{3,6}(?:/[0-9]{2})?\b"),
    "crime_long": Shape(
        pattern=r"\b(?:[1-9][0-9](?:1[5-9]|2[0-9])[0-9]{7}|2[0-9][0-9]{8,9}|"
        r"[1-9][0-9]/?2[0-9]/?[0-9]{5,7})\b"
    ),
    "crime_slashed": Shape(pattern=r"\b[0-9]{2}/[0-9]{3,7}/[0-9]{2}\b"),
    "call_sign": Shape(
        pattern=rf"\b(?:{ids.NATO_LETTER}[ -]?){{1,2}}[ -]?[0-9]{{1,3}}(?:-[0-9]{{1,2}})?\b|"
        rf"\b[a-z]{{2}}[0-9]{{2,3}}\b",
        ordinary=names.no_call_sign,
    ),
    "call_sign_two": Shape(
        pattern=rf"\btrojan [0-9]{{1,3}}\b|\b{ids.NATO_LETTER} {ids.NATO_LETTER} ?[0-9]{{1,3}}\b"
    ),
    "operation": Shape(pattern=r"\bop [a-z]{4,14}\b", ordinary=names.no_operation),
    "talk_group": Shape(
        pattern=r"\b(?:talk ?group|tg|shg|tac|tactical|event (?:channel|ch)|ops (?:channel|ch)|"
        r"ch|channel|simplex|dmo|rv channel)"
        r" ?(?:no |number )?[a-z]{0,2}[0-9]{1,4}\b"
    ),
    "account_ending": Shape(
        pattern=r"\b(?:acct|account|acc|card|a/c|visa|mastercard|debit|monzo|starling|revolut|"
        r"barclays|lloyds|halifax|hsbc|natwest)"
        r"(?: [a-z]+){0,5} (?:ending|ends|end|last 4|last four)(?: in| with)? [0-9]{3,4}\b"
        r"|\b(?:acct|account|acc|a/c)(?: (?:no|number|is))?[ :]{1,2}[0-9]{8}\b"
    ),
    "imei": Shape(
        pattern=r"\b[0-9]{6}[ -]?[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]\b|"
        r"\b[0-9]{2} [0-9]{6} [0-9]{6} [0-9]\b|\b[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]\b",
        check=ids.card_number,
    ),
    "court_case": Shape(pattern=rf"\b[0-9]{{2}}/[0-9]{{4}}/[0-9]{{1,6}}{M23}\b"),
    "pti_urn": Shape(pattern=r"\b[0-9]{2}[a-z][a-z0-9][0-9]{5}[0-9]{2}\b"),
    "mg_form": Shape(pattern=r"\bmg ?(?:[1-9]|1[0-9]|2[01])[a-f]?(?:'?s)?\b"),
    # The Home Office's class of an offence.
    "offence_class": Shape(pattern=r"\b[0-9]{3}/[0-9]{2}\b"),
}
