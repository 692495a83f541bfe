"""config.yaml and the files that it names, read strictly.

Never goes on with a key that it does not know or a file that it cannot read: the error says
which, on which line, and what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import ConfigError, PolicyError
from bridge.ledger.keys import Bundle, Certificates
from bridge.model import RoomClass, UserId
from bridge.nodes import Node, parse
from bridge.officers.hours import Hours
from bridge.policy import Policy
from bridge.policy.load import load
from bridge.register import (
    Lock,
    People,
    Register,
    decode_people,
    load_people,
    load_rooms,
)
from bridge.rooms.directory import Directory, directory
from bridge.running.answering import answering
from bridge.running.door import Door, door
from bridge.running.lockfile import read_ids
from bridge.running.parties import (
    Bystander,
    Custody,
    Standards,
    custodians,
    reviewers,
    standards,
    witnesses,
)
from bridge.running.settings import hour, hours, locks, policy_files, rehearsed, rehearses, zone
from bridge.running.shelf import read_files
from bridge.secret import read_secret, write_secret
from bridge.store.book import Identity
from bridge.understand.shipped import SHIPPED
from bridge.verify.notes import Verifier, decode64, encode64

#: Whether people who run commands have an account of this host each, or share one.
_ACCOUNTS = ("own", "shared")
_NO_MODEL = frozenset({"off", "no", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What config.yaml says. Paths are absolute: relative ones count from the file's folder."""

    path: Path
    homeserver: str
    user: UserId
    token_file: Path | None
    password_file: Path | None
    #: An administrator's token, with which files are deleted from the server; None: they stay.
    admin_token_file: Path | None
    #: Whoever has left the list of people cannot sign in any more.
    lock_leavers: bool
    #: What locks the cross-signing seeds; never in the folder that has them.
    identity_passphrase: Path
    force: str
    #: Whom officers ask, as it stands in the bot's texts.
    contact: str
    #: Who answers for data protection; empty: whom officers ask.
    data_protection: str
    #: Whom somebody in distress can talk to; empty where nobody is named.
    peer_support: str
    zone: ZoneInfo
    #: The bot's own secrets: its session, crypto store and locked cross-signing seeds.
    state: Path
    policies: Path
    #: What is in that folder is a draft, until two policy officers have approved it.
    two_people: bool
    #: Everybody runs commands under one account, so that whoever they say they are is believed.
    shared_account: bool
    #: The folder of the language model; None: there is to be none.
    model: Path | None
    rooms: Path
    people: Path
    #: Where people.csv is fetched from; None: people write it.
    directory: Directory | None
    ledger: Path
    origin: str
    ledger_key: Path
    anchor: Path | None
    custodians: tuple[Custody, ...]
    #: Who reads flagged messages without the custodians; None for nobody.
    reviewers: Custody | None
    #: To whom alone reports are sealed; None where none can be made.
    standards: Standards | None
    #: Other hosts, which are shown every checkpoint.
    witnesses: tuple[Bystander, ...]
    removals_per_minute: int
    #: When appeals are answered.
    appeals: Hours
    #: Where the homeserver's gate finds the bot; None where there is no gate.
    gate: Door | None
    #: Longer files are neither kept nor copied; a person is told.
    most_bytes: int
    rehearse: bool
    #: Classes of rooms in which nothing is sent or removed.
    rehearsed: frozenset[RoomClass]
    #: The hour of the day at which supervisors are told what happened.
    digest_hour: int
    #: A major incident ends by itself after so many hours, where nobody says how many.
    incident_hours: int

    @property
    def lock(self) -> Path:
        """Where `rooms apply` writes the ids of the rooms that it made."""
        return self.rooms.with_suffix(".lock.yaml")

    @property
    def shelf(self) -> Path:
        """Where copies of every policy that ever decided are kept."""
        return self.state / "policies"

    @property
    def socket(self) -> Path:
        """Where the running bot listens to `bluelamp pause` and the like."""
        return self.state / "control.sock"


def read_text(path: Path, what: str) -> str:
    """Read a file that the force writes.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return read_bytes(path, what).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise ConfigError(str(path), None, f"{what} is not a UTF-8 text file") from None


def read_bytes(path: Path, what: str) -> bytes:
    """Read a file that the force writes, whatever its encoding.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(str(path), None, f"{what} cannot be read: {exc.strerror}") from None


def load_config(path: Path) -> Config:
    """Read config.yaml.

    Raises:
        ConfigError: something in it is wrong, with its line.
    """
    if not path.exists():
        raise ConfigError(
            str(path),
            None,
            "there is no configuration here; name one with -c, or copy config.example.yaml",
        )
    top = parse(read_text(path, "the configuration"), str(path)).mapping(
        required=("homeserver", "force", "custodians"),
        optional=(
            "state", "policies", "accounts", "model", "rooms", "people", "directory", "ledger",
            "reviewers", "witnesses", "brake", "appeals", "files", "professional_standards",
            "digest_hour", "incident_hours", "rehearse", "gate",
        ),
    )  # fmt: skip
    folder = path.absolute().parent
    server = top["homeserver"].mapping(
        required=("url", "user"),
        optional=(
            "token_file", "password_file", "identity_passphrase_file", "admin_token_file",
            "lock_leavers",
        ),
    )  # fmt: skip
    if ("token_file" in server) == ("password_file" in server):
        top["homeserver"].fail("give either a token_file or a password_file")
    url = server["url"].text().rstrip("/")
    if not url.startswith(("http://", "https://")):
        server["url"].fail(f"{url!r} is not an address such as https://matrix.force.example")
    user = server["user"].text()
    if not user.startswith("@") or ":" not in user:
        server["user"].fail(f"{user!r} is not a Matrix id such as @bluelamp:force.example")
    force = top["force"].mapping(
        required=("name", "contact"), optional=("timezone", "peer_support", "data_protection")
    )
    ledger = _optional(top, "ledger", ("path", "origin", "key_file", "anchor"))
    policies = policy_files(top.get("policies"))
    brake = _optional(top, "brake", ("removals_per_minute",))
    files = _optional(top, "files", ("most_mb",))

    def place(node: Node | None, default: str) -> Path:
        return folder / (node.text() if node else default)

    state = place(top.get("state"), "state")
    passphrase = place(server.get("identity_passphrase_file"), "secrets/identity.passphrase")
    if passphrase.resolve().is_relative_to(state.resolve()):
        server.get("identity_passphrase_file", top["homeserver"]).fail(
            f"the passphrase of the bot's identity must not lie in {state}, beside what it locks"
        )

    return Config(
        path=path,
        homeserver=url,
        user=UserId(user),
        token_file=place(server["token_file"], "") if "token_file" in server else None,
        password_file=place(server["password_file"], "") if "password_file" in server else None,
        admin_token_file=(
            place(server["admin_token_file"], "") if "admin_token_file" in server else None
        ),
        lock_leavers=locks(server),
        identity_passphrase=passphrase,
        force=force["name"].text(),
        contact=force["contact"].text(),
        peer_support=_text(force.get("peer_support"), ""),
        data_protection=_text(force.get("data_protection"), ""),
        zone=zone(force.get("timezone")),
        state=state,
        policies=place(policies.get("folder"), "policies"),
        two_people="activation" in policies,
        shared_account="accounts" in top and top["accounts"].choice(_ACCOUNTS) == "shared",
        model=_model(top.get("model"), folder),
        rooms=place(top.get("rooms"), "rooms.yaml"),
        people=place(top.get("people"), "people.csv"),
        directory=directory(top.get("directory"), folder),
        ledger=place(ledger.get("path"), "ledger/ledger.db"),
        origin=_text(ledger.get("origin"), f"{user.split(':', 1)[1]}/bluelamp"),
        ledger_key=place(ledger.get("key_file"), "state/ledger.key"),
        anchor=place(ledger.get("anchor"), "anchor/checkpoint"),
        custodians=custodians(top["custodians"], folder),
        reviewers=reviewers(top, folder),
        standards=standards(top, folder),
        witnesses=witnesses(top.get("witnesses")),
        removals_per_minute=(
            brake["removals_per_minute"].integer(least=1, most=10_000) if brake else 60
        ),
        gate=door(top.get("gate"), folder),
        appeals=answering(top.get("appeals"), zone(force.get("timezone"))),
        most_bytes=(files["most_mb"].integer(least=1, most=500) if files else 50) * 1_048_576,
        rehearse=rehearses(top.get("rehearse")),
        rehearsed=rehearsed(top.get("rehearse")),
        digest_hour=hour(top.get("digest_hour"), 7),
        incident_hours=hours(top.get("incident_hours"), 4),
    )


def _model(node: Node | None, folder: Path) -> Path | None:
    """Read which language model takes part: the one that ships, a folder of one's own, or none."""
    if node is None:
        return SHIPPED
    text = node.text()
    return None if text.lower() in _NO_MODEL else folder / text


def _text(node: Node | None, default: str) -> str:
    return node.text() if node else default


def _optional(top: Mapping[str, Node], name: str, keys: tuple[str, ...]) -> dict[str, Node]:
    return top[name].mapping(optional=keys) if name in top else {}


def load_policies(
    folder: Path,
    *,
    clock: Callable[[], float] | None = time.thread_time,
    warn: Callable[[str], None] | None = None,
) -> Policy:
    """Read every policy file of *folder*, all or nothing; *warn* as for `policy.load.load`.

    *clock* counts this thread's own work: a busy machine makes no pattern dear.

    Raises:
        PolicyError: something in one of them is wrong.
    """
    try:
        told = None if warn is None else lambda words: warn(str(folder / words))
        return load(read_files(folder), clock=clock, warn=told)
    except PolicyError as exc:
        raise PolicyError(str(folder / exc.source), exc.line, exc.problem) from None


def load_register(config: Config, *, strict: bool = False) -> tuple[Register, People, Lock]:
    """Read rooms.yaml, people.csv and, if there is one, rooms.lock.yaml; *strict* as `load_rooms`.

    Raises:
        ConfigError: something in one of them is wrong.
    """
    raw = read_bytes(config.people, "the list of people")
    people = load_people(decode_people(raw, str(config.people)), str(config.people))
    text = read_text(config.rooms, "the register of rooms")
    register = load_rooms(text, str(config.rooms), people, strict=strict)
    return register, people, read_ids(config.lock)


def load_certificates(config: Config) -> Certificates:
    """Read the custodians' certificates and hold them against the pinned identities.

    Raises:
        ConfigError: a file is missing or is not one.
        LedgerError: a certificate is not by whom it should be.
    """
    return _certificates(config.custodians, "custodian")


def load_reviewers(config: Config) -> Certificates | None:
    """Read the reviewers' certificates; None where there are no reviewers.

    Raises:
        ConfigError: the file is missing or is not one.
        LedgerError: a certificate is not by whom it should be.
    """
    return _certificates((config.reviewers,), "the reviewers") if config.reviewers else None


def load_standards(config: Config) -> Certificates | None:
    """Read professional standards' certificates; None where no reports can be made.

    Raises:
        ConfigError: the file is missing or is not one.
        LedgerError: a certificate is not by whom it should be.
    """
    whose = "professional standards"
    return _certificates((config.standards.custody,), whose) if config.standards else None


def _certificates(custodies: tuple[Custody, ...], whose: str) -> Certificates:
    bundles = []
    for custody in custodies:
        raw = read_text(custody.certificates, f"the certificates of {whose} {custody.name}")
        try:
            bundles.append(msgspec.json.decode(raw, type=Bundle))
        except msgspec.MsgspecError:
            raise ConfigError(
                str(custody.certificates), None, "this is not a file of bucket certificates"
            ) from None
    return Certificates(bundles, pinned={one.name: one.identity for one in custodies})


def make_ledger_key(config: Config) -> None:
    """Make the key that signs the ledger's checkpoints."""
    fresh = Ed25519PrivateKey.generate()
    write_secret(config.ledger_key, encode64(fresh.private_bytes_raw()))


def load_identity(config: Config, policy: Policy, *, pinned: bool = True) -> Identity:
    """Put together who writes the ledger; makes its key at the very first start.

    Raises:
        ConfigError: the key of a ledger that exists is missing, or is another one than is *pinned*
            beside the anchor.
    """
    certificates, reviewers = load_certificates(config), load_reviewers(config)
    if not config.ledger_key.exists():
        if config.ledger.exists():
            raise ConfigError(
                str(config.ledger_key), None,
                f"the key of the ledger {config.ledger} should be in this file; without it "
                "nothing can be added. Put it back from where you keep it.",
            )  # fmt: skip
        make_ledger_key(config)
    seed = decode64(read_secret(config.ledger_key, "the ledger's signing key"))
    key = Ed25519PrivateKey.from_private_bytes(seed)
    verifier = Verifier(config.origin, key.public_key().public_bytes_raw())
    if config.anchor is not None:
        vkey = verifier_file(config)
        vkey.parent.mkdir(parents=True, exist_ok=True)
        if not vkey.exists():
            vkey.write_text(f"{verifier}\n", encoding="utf-8")
        elif pinned and vkey.read_text(encoding="utf-8").strip() != str(verifier):
            raise ConfigError(
                str(config.ledger_key), None,
                f"this is not the key that {vkey} is the public half of. Put the ledger's own key "
                "back; if it is lost, 'bluelamp ledger recover --new-key' goes on with another.",
            )  # fmt: skip
    return Identity(
        origin=config.origin,
        key=key,
        certificates=certificates,
        custodians={one.name: one.identity for one in config.custodians},
        retention={cls: one.retention for cls, one in policy.classes.items()},
        reviewers=reviewers,
        standards=load_standards(config),
    )


def verifier_file(config: Config) -> Path:
    """Where the ledger's public key is kept for whoever verifies it."""
    return (config.anchor or config.ledger).with_name("verifier.key")
