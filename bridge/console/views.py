"""How things are shown: times, names, sizes, and foreign words that cannot do any harm.

Never marks a foreign word as safe: everything is escaped, and set apart from what stands beside it.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup, escape

from bridge.config import Config
from bridge.console.rights import Right
from bridge.records.archive import Opened
from bridge.records.conversation import Inside, read_inside
from bridge.records.membership import change_of
from bridge.register import People
from bridge.verify.headers import Kind

#: What stands in the bar at the top, for whom.
NAVIGATION = (
    ("Search", "/search", Right.SEARCH),
    ("Referrals", "/referrals", Right.REVIEW),
    ("Conduct", "/conduct", Right.CONDUCT),
    ("Rooms", "/rooms", Right.ROOMS),
    ("Retention", "/retention", Right.RETENTION),
    ("Policies", "/policies", Right.POLICIES),
    ("Acknowledgements", "/acknowledgements", Right.NOTICES),
    ("One person", "/subject", Right.SUBJECT),
    ("Who looked", "/looked", Right.LOOKED),
    ("Accounts", "/accounts", Right.ACCOUNTS),
)
#: Components of GOV.UK Frontend that templates use, by their names there.
_COMPONENTS = (
    "button", "checkboxes", "error-summary", "file-upload", "input", "password-input", "radios",
    "select", "service-navigation", "skip-link", "tag", "textarea", "warning-text",
)  # fmt: skip
_ISOLATED = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
#: What would not show at all, or would hide what does.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_EMOJI = {"\u200d", "\ufe0f"}


def environment(config: Config, people: Callable[[], People], version: str) -> jinja2.Environment:
    """What templates are made with; *version* is of the styles and scripts."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("bridge.console"),
                jinja2.PrefixLoader(
                    {"govuk_frontend_jinja": jinja2.PackageLoader("govuk_frontend_jinja")}
                ),
            ]
        ),
        autoescape=True,
        # The macros of govuk-frontend-jinja ask for parameters that may be missing.
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": partial(when, zone=config.zone),
        "clock": partial(when, zone=config.zone, form="%H:%M"),
        "plain_day": lambda at: local(at, config.zone).strftime("%A %-d %B %Y"),
        "day": partial(when, zone=config.zone, form="%-d %B %Y"),
        "moment": lambda at: local(at, config.zone).strftime("%-d %B %Y at %H:%M"),
        "foreign": foreign,
        "who": lambda user: name_of(people(), user),
        "bytes": size,
        "words": words,
        "number": lambda count: f"{count:,}",
        "list_pair": lambda name: (name, name),
        "worded_pair": lambda name: (name, words(name)),
    }
    made.globals |= {
        "v": version, "zone": str(config.zone), "navigation": NAVIGATION, "said_in": said_in,
    }  # fmt: skip
    for name in _COMPONENTS:
        macro = f"govuk{''.join(part.title() for part in name.split('-'))}"
        place = f"govuk_frontend_jinja/components/{name}/macro.html"
        made.globals[macro] = getattr(made.get_template(place).module, macro)
    return made


def said_in(one: Opened) -> Inside:
    """What the record of an event says; with its text, where it has one."""
    inside = read_inside(one.inside or b"")
    content = inside.content if isinstance(inside.content, dict) else {}
    body = content.get("body")
    inside.text = body if isinstance(body, str) else inside.type
    if one.entry.facet.kind == Kind.MEMBERSHIP:
        change = change_of(inside.sender, inside.state_key, content)
        inside.sender, inside.text, inside.by = change.user, change.said, change.by
    return inside


def local(at: int, zone: ZoneInfo) -> datetime.datetime:
    """A time of ours, in the force's zone."""
    return datetime.datetime.fromtimestamp(at / 1000, zone)


def when(at: int, *, zone: ZoneInfo, form: str = "%-d %b %Y, %H:%M") -> Markup:
    """A time as people here read it, with UTC on hover."""
    utc = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        local(at, zone).strftime(form),
    )


def foreign(text: object, longest: int = 0) -> Markup:
    """A text that somebody else wrote: its direction stays its own, and nothing in it is hidden."""
    whole = str(text)
    cut = whole[:longest] + "…" if longest and len(whole) > longest else whole
    shown = "".join(_visible(c) for c in cut)
    return Markup('<bdi class="bl-foreign" dir="auto">{}</bdi>').format(shown)


def _visible(c: str) -> str:
    if c in "\n\t" or c in _EMOJI or unicodedata.category(c) not in _HIDDEN:
        return c
    return f"[U+{ord(c):04X}]" if _ISOLATED.match(c) or ord(c) < 0x20 or ord(c) == 0x7F else ""


def name_of(people: People, user: str) -> Markup:
    """What somebody is called; their Matrix id where they are not listed."""
    found = next((one for one in people.persons.values() if one.id == user), None)
    return foreign(found.name if found else user, 120)


def size(count: int | None) -> str:
    """A number of bytes, roughly."""
    if count is None or count < 0:
        return "size unknown"
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


_WORDS: Mapping[str, str] = {
    "allow": "left alone", "nudge": "nudged", "redirect": "moved", "quarantine": "taken out",
    "copy": "copied to the secure room", "redact": "taken out of the room", "notify": "sender told",
    "refer": "a person asked", "keep": "file kept", "close": "closed", "invite": "invited",
    "restore": "put back", "say": "said", "done": "done", "failed": "failed, will be tried again",
    "choice": "sender to choose", "refused": "refused", "abandoned": "given up",
    "waived": "waived by a person",
    "rehearsed": "rehearsed only", "": "owed", "restored": "agreed with the officer",
    "action_stands": "agreed with the bot", "false_positive": "false positive",
    "referred": "referred on", "appeals": "appeal", "professional-standards":
    "professional standards", "professional-standards-urgent": "should not wait",
    "undecryptable": "could not be read", "errors": "an error",
    "markings": "marking too high", "members": "a member asked", "custodians": "custodian's key",
    "granted": "released by a custodian", "review": "flagged records only",
    "break-glass": "emergency",
}  # fmt: skip


def words(name: str) -> str:
    """What we call something in plain English."""
    return _WORDS.get(name, name.replace("_", " ").replace("-", " "))


def file_name(text: str) -> str:
    """A name under which a download is safe to save: no folders, no hidden ends."""
    plain = unicodedata.normalize("NFKC", text).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in plain if c.isalnum() or c in " ._-()").strip(" .")
    return str(escape(kept[-80:].strip(" ."))) or "file"
