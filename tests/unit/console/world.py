"""A small force with a record of some days, people of every role, and custodians' vaults."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyotp
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from bridge.config import Config, load_config, load_identity, load_policies
from bridge.console.accounts import Accounts
from bridge.facts import Decided, Decision, Fact, Missed, Performed, Seen
from bridge.ledger.keys import Custodian
from bridge.model import (
    Action,
    Copy,
    EventId,
    Finding,
    Gap,
    Keep,
    Kind,
    Message,
    Ms,
    Notify,
    Outcome,
    Queue,
    Redact,
    Refer,
    Rid,
    RoomClass,
    RoomId,
    Status,
    UserId,
    Verdict,
    key,
)
from bridge.model import Moment as Occasion
from bridge.records.safe import make_safe
from bridge.store.sqlite import SqliteStore
from bridge.verify.notes import encode64
from tests.making import Hands

TOP = Path(__file__).parents[3]
#: 20 November 2026, 09:00 UTC.
BEGAN = Ms(int(datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp() * 1000))
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SOCIAL, SECURE, REVIEW = (
    RoomId(f"!{name}:force.example") for name in ("socialA", "secureA", "review")
)
SOCIAL_B = RoomId("!socialB:force.example")
BOT = UserId("@bluelamp:force.example")
ANNA, BEN, CHLOE, DAN = (
    UserId(f"@{name}:force.example")
    for name in ("anna.reid", "ben.hughes", "chloe.patel", "dan.murray")
)
PASSPHRASE = "four words are quite enough"
#: Console sign-in → roles.
STAFF = {
    "areader": "auditor",
    "acustodian": "auditor custodian",
    "second": "custodian",
    "sokoro": "reviewer",
    "pstandards": "professional-standards",
    "disclose": "disclosure-officer auditor",
    "logs": "log-reader",
    "independent": "independent-log-reader",
    "policy": "policy-officer",
    "admin": "administrator",
    # Everything but professional standards.
    "curious": "reviewer auditor custodian disclosure-officer log-reader policy-officer "
    "administrator",
    "norole": "",
}
ROLE_OF = {roles: name for name, roles in STAFF.items()}
REVISION = "5" * 64
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = (
    "<script>alert(1)</script>\u202egnp.exe \U0001f469\u200d\U0001f692 " + "מיצר " + "x" * 3000
)


@dataclass(frozen=True, slots=True)
class World:
    """Where everything lies."""

    folder: Path
    names: tuple[str, ...]
    events: dict[str, EventId]

    @property
    def config(self) -> Config:
        return load_config(self.folder / "config.yaml")

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.folder / "console" / "auditors")

    def share(self, name: str) -> Path:
        return self.folder / "stick" / f"{name}.share"

    def passphrase(self, name: str) -> str:
        return f"the passphrase of {name}"

    def enrolled(self, name: str, at: Ms) -> tuple[str, list[str]]:
        """Make an account whose owner has enrolled; return second factor and recovery codes."""
        code = self.accounts.add(name, at)
        secret = pyotp.random_base32()
        return secret, list(self.accounts.enrol(name, PASSPHRASE, secret, code))


class Story:
    """Tells facts one after another, as the bot would."""

    def __init__(self, at: Ms = BEGAN) -> None:
        self.at, self.count = at, 0
        self.told: list[tuple[Ms, list[Fact]]] = []
        self.events: dict[str, EventId] = {}

    def later(self, ms: int) -> None:
        self.at = Ms(self.at + ms)

    def tell(self, *facts: Fact) -> None:
        self.told.append((self.at, list(facts)))

    def message(
        self, sender: UserId, content: dict[str, Any], *, room: RoomId = SOCIAL, name: str = "",
        kind: Kind = Kind.TEXT, type_: str = "m.room.message", replaces: str = "", doubt: str = "",
    ) -> Message:  # fmt: skip
        self.count += 1
        event = EventId(f"$event{self.count}")
        self.events[name or event] = event
        return Message(
            event_id=event, room=room, sender=sender, sent_at=self.at, kind=kind, type=type_,
            body=str(content.get("body", "")), content=json.dumps(content).encode(),
            ciphertext=b"{}", replaces=self.events[replaces] if replaces else None, doubt=doubt,
        )  # fmt: skip

    def say(self, sender: UserId, body: str, *, name: str = "", room: RoomId = SOCIAL) -> Message:
        content = {"msgtype": "m.text", "body": body}
        message = self.message(sender, content, name=name, room=room)
        cls = RoomClass.OPERATIONAL if room == SECURE else RoomClass.SOCIAL
        self.tell(Seen(message=message, cls=cls, clean=_clean()))
        self.later(40_000)
        return message

    def event(self, sender: UserId, type_: str, content: dict[str, Any], kind: Kind) -> Message:
        message = self.message(sender, content, kind=kind, type_=type_)
        self.tell(Seen(message=message, cls=RoomClass.SOCIAL))
        self.later(20_000)
        return message

    def judge(
        self, sender: UserId, body: str, verdict: Verdict, *, name: str,
        decision: Decision | None = None, rid: Rid | None = None,
    ) -> None:  # fmt: skip
        """A message that is moved or nudged, with all that is done about it."""
        message = self.message(sender, {"msgtype": "m.text", "body": body}, name=name)
        owes = _owes(message, verdict)
        self.tell(
            Seen(message=message, cls=RoomClass.SOCIAL, rid=rid),
            Decided(message=message, cls=RoomClass.SOCIAL, verdict=verdict, owes=owes),
        )
        self.later(350)
        outcomes = (Outcome(key=key(one), status=Status.DONE, detail="$done") for one in owes)
        self.tell(*(Performed(outcome=one) for one in outcomes))
        self.later(90_000)


def _clean() -> Verdict:
    return Verdict(action=Action.ALLOW, rule=None, reason="", revision=REVISION)


def _owes(message: Message, verdict: Verdict) -> tuple[Any, ...]:
    room, about = message.room, message.event_id
    found: list[Any] = []
    if verdict.action is Action.REDIRECT:
        found += [
            Copy(room=room, about=about, to=SECURE, reason=verdict.reason),
            Redact(room=room, about=about, reason=verdict.reason),
            Notify(room=room, about=about, to=message.sender, moment=Occasion.MOVED,
                   reason=verdict.reason),
        ]  # fmt: skip
    elif verdict.action is Action.NUDGE:
        found.append(Notify(room=room, about=about, to=message.sender, moment=Occasion.NUDGE,
                            reason=verdict.reason))  # fmt: skip
    found += [
        Refer(room=room, about=about, queue=queue, to=REVIEW, reason=verdict.reason)
        for queue in verdict.referrals
    ]
    return tuple(found)


def verdict(action: Action, rule: str, reason: str, words: str = "", *queues: Queue) -> Verdict:
    findings = (
        (Finding(rule=rule, label=reason, start=0, end=len(words), confidence=90),) if words else ()
    )
    return Verdict(
        action=action, rule=rule, reason=reason, findings=findings, referrals=frozenset(queues),
        score=82, revision=REVISION,
    )  # fmt: skip


def shift(story: Story) -> Story:
    """Two days in a social room, with everything that a record can have."""
    for sender, name in ((ANNA, "Anna Reid"), (BEN, "Ben Hughes"), (CHLOE, "Chloe Patel")):
        member = {"membership": "join", "displayname": name}
        story.event(sender, "m.room.member", member, Kind.MEMBERSHIP)
    story.event(BOT, "m.room.topic", {"topic": "Blue Lamp reads this room"}, Kind.STATE)
    story.say(ANNA, "Morning all. Whose turn is it to bring the milk?", name="milk")
    story.say(BEN, "Mine, but I overslept, so it's UHT today. Sorry 🙈", name="uht")
    story.event(
        CHLOE, "m.reaction",
        {"m.relates_to": {"rel_type": "m.annotation", "event_id": story.events["uht"],
                          "key": "😂"}}, Kind.OTHER,
    )  # fmt: skip
    story.later(12 * MINUTE)
    move = verdict(Action.REDIRECT, "veh.vrm", "it has a vehicle registration", "AB12 CDE")
    story.judge(BEN, "AB12 CDE has just left 14 Acacia Avenue, driver is the one from Tuesday",
                move, name="plate")  # fmt: skip
    nudge = verdict(Action.NUDGE, "ops.place", "it may name a place of a job", "Mill Lane")
    story.judge(CHLOE, "Mill Lane again tonight by the look of it", nudge, name="lane")
    _edited(story)
    _deleted(story)
    _file(story)
    story.later(HOUR)
    dark = story.message(
        DAN, {"algorithm": "m.megolm.v1.aes-sha2"}, kind=Kind.UNREADABLE, name="dark",
        type_="m.room.encrypted", doubt="its key never came",
    )  # fmt: skip
    refer = Verdict(
        action=Action.ALLOW, rule="sys.undecryptable", reason="it could not be read",
        referrals=frozenset({Queue.UNDECRYPTABLE}), revision=REVISION,
    )  # fmt: skip
    story.tell(
        Seen(message=dark, cls=RoomClass.SOCIAL),
        Decided(message=dark, cls=RoomClass.SOCIAL, verdict=refer),
        Missed(gap=Gap(room=SOCIAL, reason="the server had forgotten it")),
    )
    story.later(HOUR)
    story.say(BEN, HOSTILE, name="hostile")
    conduct = verdict(Action.ALLOW, "con.grievance", "a person should look", "shut her up",
                      Queue.PROFESSIONAL_STANDARDS)  # fmt: skip
    story.judge(DAN, "shut her up before the sergeant hears of it", conduct, name="conduct")
    story.later(20 * HOUR)
    appealed = verdict(Action.REDIRECT, "ops.address", "it has an address", "9 Mill Lane",
                       Queue.APPEALS)  # fmt: skip
    story.judge(
        ANNA, "9 Mill Lane does the best chips, meet there at eight", appealed, name="chips"
    )
    stands = verdict(Action.REDIRECT, "ops.custody", "it has a custody reference", "26XX/4471/26",
                     Queue.APPEALS)  # fmt: skip
    story.judge(BEN, "26XX/4471/26 solicitor's on the way", stands, name="custody")
    story.say(CHLOE, "Right, chips at the usual place at half past?", name="half")
    story.say(ANNA, "AB12 CDE: stopped at 10:40, driver spoken to", room=SECURE, name="secure")
    return story


def _edited(story: Story) -> None:
    story.say(BEN, "Who's on the tea run?", name="tea")
    fresh = {"msgtype": "m.text", "body": "Who's on the tea run? Two sugars please"}
    content = {
        "msgtype": "m.text", "body": f"* {fresh['body']}", "m.new_content": fresh,
        "m.relates_to": {"rel_type": "m.replace", "event_id": story.events["tea"]},
    }  # fmt: skip
    edit = story.message(BEN, content, name="tea2", replaces="tea")
    story.tell(Seen(message=edit, cls=RoomClass.SOCIAL, clean=_clean()))
    story.later(MINUTE)


def _deleted(story: Story) -> None:
    story.say(CHLOE, "Never mind, found it", name="found")
    story.later(MINUTE)
    story.event(CHLOE, "m.room.redaction", {"redacts": story.events["found"]}, Kind.OTHER)


def _file(story: Story) -> None:
    """A picture, as it lies on the server: encrypted, its key in the message."""
    secret, counter = os.urandom(32), os.urandom(8) + bytes(8)
    sealed = Cipher(AES(secret), CTR(counter)).encryptor().update(PNG)
    plain = base64.b64encode(hashlib.sha256(sealed).digest()).decode().rstrip("=")
    file = {
        "url": "mxc://force.example/cake", "v": "v2",
        "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "key_ops": ["encrypt", "decrypt"],
                "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")},
        "iv": base64.b64encode(counter).decode().rstrip("="), "hashes": {"sha256": plain},
    }  # fmt: skip
    content = {"msgtype": "m.image", "body": "Cake in the kitchen", "filename": "../cake<1>.png",
               "info": {"mimetype": "image/png", "size": len(PNG)}, "file": file}  # fmt: skip
    message = story.message(ANNA, content, kind=Kind.MEDIA, name="cake")
    keep = Keep(room=SOCIAL, about=message.event_id, part="file", url="mxc://force.example/cake")
    story.tell(Seen(message=message, cls=RoomClass.SOCIAL, clean=_clean(), owes=(keep,)))
    outcome = Outcome(key=key(keep), status=Status.DONE)
    story.tell(Performed(outcome=outcome, file=sealed))
    story.later(MINUTE)


def found(
    folder: Path, *names: str, reviewers: bool = True, story: Story | None = None,
    certified: Sequence[int] = (2026,),
) -> World:  # fmt: skip
    """Make a force with these custodians, and its record."""
    shutil.copytree(TOP / "policies", folder / "policies")
    shutil.copy(TOP / "rooms.example.yaml", folder / "rooms.yaml")
    people = (TOP / "people.example.csv").read_text().splitlines()
    people = [line for line in people if "sokoro" not in line and "gprice" not in line]
    people += [
        "@sam.okoro:force.example,Sam Okoro,2207,Supervision,Inspector,,sokoro,reviewer",
        "@gwen.price:force.example,Gwen Price,8803,Information,Records Manager,,acustodian,"
        "auditor custodian",
        *(
            f"@{name}:force.example,{name.title()} Staff,,Information,Staff,,{name},{roles}"
            for name, roles in STAFF.items()
            if name not in {"sokoro", "acustodian"}
        ),
    ]
    (folder / "people.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
    ids = {"response-a-social": SOCIAL, "response-a-secure": SECURE, "review": REVIEW,
           "response-b-social": SOCIAL_B}  # fmt: skip
    lock = "rooms:\n" + "".join(f'  {key}: "{room}"\n' for key, room in ids.items())
    (folder / "rooms.lock.yaml").write_text(lock, encoding="utf-8")
    everybody = (*names, *(["reviewers"] if reviewers else []))
    made = {name: _custodian(folder, name, certified) for name in everybody}
    (folder / "config.yaml").write_text(_config(made, names), encoding="utf-8")
    vaults = "".join(f"  {name}: vaults/{name}\n" for name in everybody)
    (folder / "console.yaml").write_text(
        f"listen: 127.0.0.1:0\nvaults:\n{vaults}"
        "purposes: [Audit of how rooms are used, Appeal or referral, Covert enquiry]\n"
        "restricted: [Covert enquiry]\n",
        encoding="utf-8",
    )
    told = story or shift(Story())
    world = World(folder, names, told.events)
    # In a thread of its own: whoever drives a browser has a loop running in theirs.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(record(world.config, told.told))).result()
    return world


def _custodian(folder: Path, name: str, certified: Sequence[int]) -> Custodian:
    kept = dict(load_policies(folder / "policies", clock=None).retention)
    custodian = Custodian.new(name)
    for year in certified:
        custodian.issue_ahead(kept, year=year, month=10, months=15)
    vault, share = folder / "vaults" / name, folder / "stick" / f"{name}.share"
    make_safe(vault, share, custodian, f"the passphrase of {name}", who=name)
    (folder / f"{name}.certificates.json").write_bytes(msgspec.json.encode(custodian.bundle()))
    return custodian


def _config(made: dict[str, Custodian], names: Sequence[str]) -> str:
    def party(name: str, dash: str) -> str:
        pad = " " * len(dash)
        return (
            f"{dash}name: {name}\n{pad}identity: {encode64(made[name].public)}\n"
            f"{pad}certificates: {name}.certificates.json\n"
        )

    text = (
        "homeserver:\n  url: http://127.0.0.1:9\n  user: '@bluelamp:force.example'\n"
        "  password_file: bot.password\n"
        "force:\n  name: Exampleshire Police\n  contact: the Digital Desk, ext. 4401\n"
        "custodians:\n" + "".join(party(name, "  - ") for name in names)
    )
    return text + ("reviewers:\n" + party("reviewers", "  ") if "reviewers" in made else "")


async def record(config: Config, told: Sequence[tuple[Ms, list[Fact]]]) -> None:
    """Have the bot record a story."""
    clock = Hands(told[0][0])
    identity = load_identity(config, load_policies(config.policies, clock=None))
    store = SqliteStore(config.ledger, identity, clock, anchor=config.anchor)
    for at, facts in told:
        clock.at = at
        await store.append(facts)
    await store.checkpoint()
    await store.close()


def rids(config: Config, kind: str) -> Iterator[str]:
    """The names of the records of a kind, oldest first."""
    from bridge.store.reader import SqliteReader  # noqa: PLC0415 - only here

    reader = SqliteReader(config.ledger)
    for row in reader.rows():
        header = json.loads(row.header)
        if header["kind"] == kind:
            yield str(header["rid"])
    reader.close()
