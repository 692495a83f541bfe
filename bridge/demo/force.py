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


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the force."""

    local: str
    name: str
    team: str
    collar: str = ""
    rank: str = "PC"

    @property
    def id(self) -> UserId:
        """Their Matrix id."""
        return UserId(f"@{self.local}:{SERVER}")


SUPERVISOR = Member("gwen", "Sgt Gwen Price", "", "2207", "Sgt")
OFFICERS = (
    Member("asha", "PC Asha Khan", "Response A", "4411"),
    Member("ben", "PC Ben Hughes", "Response A", "4523"),
    Member("chloe", "PC Chloe Patel", "Response A", "4630"),
    Member("dan", "PC Dan Murray", "Response B", "5102"),
    Member("ewa", "PC Ewa Nowak", "Response B", "5217"),
    Member("femi", "PC Femi Ade", "Response B", "5398"),
)
TEAMS = ("Response A", "Response B")


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


def found(folder: Path, url: str, *, months: int = 2) -> Force:
    """Write everything that a force writes into *folder*, for a homeserver at *url*."""
    force = Force(
        folder=folder,
        passwords={
            user: secrets.token_urlsafe(9)
            for user in (BOT, SUPERVISOR.id, *(one.id for one in OFFICERS))
        },
    )
    shutil.copytree(shipped_policies(), folder / "policies", dirs_exist_ok=True)
    identity = _custodian(force, months)
    write_secret(folder / "secrets" / "bot.password", force.passwords[BOT])
    (folder / "people.csv").write_text(_people(), encoding="utf-8")
    (folder / "rooms.yaml").write_text(_rooms(), encoding="utf-8")
    force.config.write_text(_config(url, identity), encoding="utf-8")
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


def _config(url: str, identity: str) -> str:
    return f"""\
homeserver:
  url: {url}
  user: "{BOT}"
  password_file: secrets/bot.password
force:
  name: Exampleshire Police
  contact: the Digital Desk, ext. 4401
  peer_support: Peer Support, ext. 4450, day and night
  timezone: Europe/London
custodians:
  - name: psd
    identity: {identity}
    certificates: psd.certificates.json
"""


def _people() -> str:
    rows = [
        f"{one.id},{one.name},{one.collar},{one.team},{one.rank},"
        f"{SUPERVISOR.id if one is not SUPERVISOR else ''},,"
        for one in (SUPERVISOR, *OFFICERS)
    ]
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
    members: []
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
