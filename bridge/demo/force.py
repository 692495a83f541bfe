"""A small force in one folder: its people, rooms, policies, custodian and configuration.

Never anything but an example: passwords and passphrase lie beside what they protect.
"""

from __future__ import annotations

import datetime
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.config import load_policies
from bridge.errors import ConfigError
from bridge.ledger.keys import Custodian
from bridge.ledger.vault import SHARE_BYTES, lock
from bridge.model import UserId
from bridge.secret import write_secret
from bridge.verify.notes import encode64

SERVER = "force.example"
BOT = UserId(f"@bluelamp:{SERVER}")
#: Who runs the homeserver; the bot has a token of theirs, to delete files of moved messages with.
ADMIN = UserId(f"@admin:{SERVER}")


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the force."""

    local: str
    name: str
    team: str
    collar: str = ""
    rank: str = "PC"
    #: What they may be in review; who is anything signs in to the console by their first name.
    roles: str = ""

    @property
    def id(self) -> UserId:
        """Their Matrix id."""
        return UserId(f"@{self.local}:{SERVER}")


SUPERVISOR = Member("gwen", "Sgt Gwen Price", "", "2207", "Sgt")
OFFICERS = (
    Member("asha", "PC Asha Khan", "Response A", "4411"),
    Member("ben", "PC Ben Hughes", "Response A", "4523"),
    Member("chloe", "PC Chloe Patel", "Response A", "4630", roles="reviewer"),
    Member("dan", "PC Dan Murray", "Response B", "5102", roles="reviewer"),
    Member("ewa", "PC Ewa Nowak", "Response B", "5217", roles="reviewer"),
    Member("femi", "PC Femi Ade", "Response B", "5398"),
)
TEAMS = ("Response A", "Response B")
#: Who reads the record in the console, and is in no room. At a force it would not be one person.
AUDITOR = "rae"


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Where everything of the demo is."""

    folder: Path
    passwords: Mapping[UserId, str]

    @property
    def config(self) -> Path:
        """The configuration, which every command takes with -c."""
        return self.folder / "config.yaml"

    @property
    def admin_token(self) -> Path:
        """An administrator's access token, once there is a homeserver."""
        return self.folder / "secrets" / "admin.token"

    @property
    def vault(self) -> Path:
        """The custodian's vault file."""
        return self.folder / "custodian" / "vault"

    @property
    def share(self) -> Path:
        """The custodian's share file; at a force it would lie elsewhere."""
        return self.folder / "custodian" / "share"

    @property
    def passphrase(self) -> Path:
        """The custodian's passphrase; at a force it would be in somebody's head."""
        return self.folder / "custodian" / "passphrase"


def shipped_policies() -> Path:
    """Find the policies that come with Blue Lamp: beside the source, or inside the wheel.

    Raises:
        ConfigError: they are in neither place.
    """
    here = Path(__file__).resolve().parent.parent
    for place in (here.parent / "policies", here / "shipped" / "policies"):
        if (place / "classes.yaml").is_file():
            return place
    raise ConfigError("policies", None, "the shipped policies are missing from this installation")


def found(
    folder: Path, url: str, *, months: int = 2, gate_ms: int | None = None, cards: bool = False
) -> Force:
    """Write everything that a force writes into *folder*, for a homeserver at *url*.

    *cards*: what is kept is pinned in each room, as the shipped policies have it.
    """
    force = Force(
        folder=folder,
        passwords={
            user: secrets.token_urlsafe(9)
            for user in (ADMIN, BOT, SUPERVISOR.id, *(one.id for one in OFFICERS))
        },
    )
    shutil.copytree(shipped_policies(), folder / "policies", dirs_exist_ok=True)
    classes = folder / "policies" / "classes.yaml"
    text = classes.read_text(encoding="utf-8")
    if gate_ms is not None:
        text = text.replace("budget_ms: 300", f"budget_ms: {gate_ms}")
    if not cards:
        text = text.replace("card: pinned", "card: none")
    classes.write_text(text, encoding="utf-8")
    identity = _custodian(force, months)
    write_secret(folder / "secrets" / "bot.password", force.passwords[BOT])
    (folder / "people.csv").write_text(_people(), encoding="utf-8")
    (folder / "rooms.yaml").write_text(_rooms(), encoding="utf-8")
    console = "listen: 127.0.0.1:0\nvaults: {psd: custodian/vault}\n"
    (folder / "console.yaml").write_text(console, encoding="utf-8")
    force.config.write_text(_config(url, identity) + (GATE if gate_ms else ""), encoding="utf-8")
    return force


def _custodian(force: Force, months: int) -> str:
    custodian = Custodian.new("psd")
    today = datetime.datetime.now(datetime.UTC)
    kept_days = load_policies(force.folder / "policies", clock=None).retention
    custodian.issue_ahead(kept_days, year=today.year, month=today.month, months=months)
    passphrase, share = secrets.token_urlsafe(12), secrets.token_bytes(SHARE_BYTES)
    write_secret(force.passphrase, passphrase)
    write_secret(force.share, encode64(share))
    write_secret(force.vault, lock(custodian, passphrase, share).decode())
    certificates = force.folder / "psd.certificates.json"
    certificates.write_bytes(msgspec.json.encode(custodian.bundle()))
    return encode64(custodian.public)


#: Where the homeserver's gate finds the bot.
GATE = "gate:\n  socket: gate.sock\n"


def _config(url: str, identity: str) -> str:
    return f"""\
homeserver:
  url: {url}
  user: "{BOT}"
  password_file: secrets/bot.password
  admin_token_file: secrets/admin.token
force:
  name: Exampleshire Police
  contact: the Digital Desk, ext. 4401
  peer_support: Peer Support, ext. 4450, day and night
  timezone: Europe/London
accounts: shared
custodians:
  - name: psd
    identity: {identity}
    certificates: psd.certificates.json
"""


def _people() -> str:
    rows = [
        f"{one.id},{one.name},{one.collar},{one.team},{one.rank},"
        f"{SUPERVISOR.id if one is not SUPERVISOR else ''},"
        f"{one.local if one.roles else ''},{one.roles}"
        for one in (SUPERVISOR, *OFFICERS)
    ]
    rows.append(f"@{AUDITOR}:{SERVER},Rae Quinn,8803,Information,Records Manager,,{AUDITOR},"
                "auditor custodian disclosure-officer log-reader reviewer")  # fmt: skip
    return "\n".join(["matrix_id,name,collar,team,rank,supervisor,console,roles", *rows, ""])


def _rooms() -> str:
    teams = "\n".join(f"  {team}: {{space: {_key(team)}}}" for team in TEAMS)
    rooms = "\n".join(_pair(team) for team in TEAMS)
    return f"""\
server: {SERVER}
force:
  name: Exampleshire Police
  space: force
teams:
{teams}
rooms:
{rooms}
  review:
    class: review
    name: Referrals
    information: corporate
    ceiling: OFFICIAL-SENSITIVE
    owner: "{SUPERVISOR.id}"
    supervisor: "{SUPERVISOR.id}"
    purpose: What Blue Lamp could not decide alone.
    dpia: DPIA-2026-014
    review: 2027-05-01
    members: [{", ".join(f'"{one.id}"' for one in OFFICERS if one.roles)}]
"""


def _key(team: str) -> str:
    return team.lower().replace(" ", "-")


def _pair(team: str) -> str:
    common = f"""\
    team: {team}
    owner: "{SUPERVISOR.id}"
    supervisor: "{SUPERVISOR.id}"
    dpia: DPIA-2026-014
    review: 2027-05-01
    members: {{team: {team}}}
"""
    return f"""\
  {_key(team)}-social:
    class: social
    name: {team} social
    information: corporate
    ceiling: OFFICIAL
    purpose: Rotas, lifts, milk and birthdays.
    secure: {_key(team)}-secure
{common}
  {_key(team)}-secure:
    class: operational
    name: {team} secure
    information: operational
    ceiling: OFFICIAL-SENSITIVE
    purpose: Jobs, people and addresses of the shift.
{common}"""
