"""config.yaml and the files that it names, read strictly.

Never goes on with a key that it does not know or a file that it cannot read: the error says
which, on which line, and what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import ConfigError, PolicyError
from bridge.ledger.keys import Bundle, Certificates
from bridge.model import UserId
from bridge.nodes import Node, parse
from bridge.policy import Policy
from bridge.policy.load import load
from bridge.register import (
    Lock,
    People,
    Register,
    dump_lock,
    load_lock,
    load_people,
    load_rooms,
)
from bridge.secret import read_secret, write_secret
from bridge.shelf import read_files
from bridge.store.book import Identity
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, Verifier, decode64, encode64

#: Who makes policy files active: whoever may write to the folder, or two policy officers.
_ACTIVATIONS = ("folder", "two-people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """One custodian, as the bot's host knows them: public halves only."""

    name: str
    identity: bytes
    certificates: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystander:
    """One witness, as the bot's host knows it."""

    url: str
    key: Cosigner


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What config.yaml says. Paths are absolute: relative ones count from the file's folder."""

    path: Path
    homeserver: str
    user: UserId
    token_file: Path | None
    password_file: Path | None
    #: What locks the cross-signing seeds; never in the folder that has them.
    identity_passphrase: Path
    force: str
    #: Whom officers ask, as it stands in the bot's texts.
    contact: str
    #: Whom somebody in distress can talk to; empty where nobody is named.
    peer_support: str
    zone: ZoneInfo
    #: The bot's own secrets: its session, crypto store and locked cross-signing seeds.
    state: Path
    policies: Path
    #: What is in that folder is a draft, until two policy officers have approved it.
    two_people: bool
    rooms: Path
    people: Path
    ledger: Path
    origin: str
    ledger_key: Path
    anchor: Path | None
    custodians: tuple[Custody, ...]
    #: Who reads flagged messages without the custodians; None for nobody.
    reviewers: Custody | None
    #: Other hosts, which are shown every checkpoint.
    witnesses: tuple[Bystander, ...]
    removals_per_minute: int
    #: Longer files are neither kept nor copied; a person is told.
    most_bytes: int
    rehearse: bool

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
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(str(path), None, f"{what} is not a UTF-8 text file") from None
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
            "state",
            "policies",
            "rooms",
            "people",
            "ledger",
            "reviewers",
            "witnesses",
            "brake",
            "files",
            "rehearse",
        ),
    )
    folder = path.absolute().parent
    server = top["homeserver"].mapping(
        required=("url", "user"),
        optional=("token_file", "password_file", "identity_passphrase_file"),
    )
    if ("token_file" in server) == ("password_file" in server):
        top["homeserver"].fail("give either a token_file or a password_file")
    url = server["url"].text().rstrip("/")
    if not url.startswith(("http://", "https://")):
        server["url"].fail(f"{url!r} is not an address such as https://matrix.force.example")
    user = server["user"].text()
    if not user.startswith("@") or ":" not in user:
        server["user"].fail(f"{user!r} is not a Matrix id such as @bluelamp:force.example")
    force = top["force"].mapping(
        required=("name", "contact"), optional=("timezone", "peer_support")
    )
    ledger = _optional(top, "ledger", ("path", "origin", "key_file", "anchor"))
    policies = _policies(top.get("policies"))
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
        identity_passphrase=passphrase,
        force=force["name"].text(),
        contact=force["contact"].text(),
        peer_support=_text(force.get("peer_support"), ""),
        zone=_zone(force.get("timezone")),
        state=state,
        policies=place(policies.get("folder"), "policies"),
        two_people="activation" in policies,
        rooms=place(top.get("rooms"), "rooms.yaml"),
        people=place(top.get("people"), "people.csv"),
        ledger=place(ledger.get("path"), "ledger/ledger.db"),
        origin=_text(ledger.get("origin"), f"{user.split(':', 1)[1]}/bluelamp"),
        ledger_key=place(ledger.get("key_file"), "state/ledger.key"),
        anchor=place(ledger.get("anchor"), "anchor/checkpoint"),
        custodians=_custodians(top["custodians"], folder),
        reviewers=_reviewers(top, folder),
        witnesses=_witnesses(top.get("witnesses")),
        removals_per_minute=(
            brake["removals_per_minute"].integer(least=1, most=10_000) if brake else 60
        ),
        most_bytes=(files["most_mb"].integer(least=1, most=500) if files else 50) * 1_048_576,
        rehearse=top["rehearse"].boolean() if "rehearse" in top else False,
    )


def _policies(node: Node | None) -> dict[str, Node]:
    """Read where the policies are: a folder, or a folder and who makes what is in it active."""
    if node is None:
        return {}
    if not node.is_mapping():
        return {"folder": node}
    got = node.mapping(required=("folder",), optional=("activation",))
    if "activation" in got and got["activation"].choice(_ACTIVATIONS) == "folder":
        del got["activation"]
    return got


def _text(node: Node | None, default: str) -> str:
    return node.text() if node else default


def _optional(top: Mapping[str, Node], name: str, keys: tuple[str, ...]) -> dict[str, Node]:
    return top[name].mapping(optional=keys) if name in top else {}


def _zone(node: Node | None) -> ZoneInfo:
    name = node.text() if node else "Europe/London"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if node is None:
            return ZoneInfo("UTC")
        node.fail(f"{name!r} is not a time zone such as Europe/London")


def _custodians(node: Node, folder: Path) -> tuple[Custody, ...]:
    found: list[Custody] = []
    for item in node.list():
        one = _custody(item, folder)
        if one.name in {other.name for other in found}:
            item.fail(f"the custodian {one.name!r} is given twice")
        found.append(one)
    if len(found) > 2:
        node.fail("there may be one custodian or two, not more")
    return tuple(found)


def _reviewers(top: Mapping[str, Node], folder: Path) -> Custody | None:
    if "reviewers" not in top:
        return None
    found = _custody(top["reviewers"], folder)
    if found in _custodians(top["custodians"], folder):
        top["reviewers"].fail("the reviewers need a vault of their own, not a custodian's")
    return found


def _custody(node: Node, folder: Path) -> Custody:
    got = node.mapping(required=("name", "identity", "certificates"))
    try:
        identity = decode64(got["identity"].text())
    except Unsound as exc:
        got["identity"].fail(str(exc))
    if len(identity) != 32:
        got["identity"].fail("this is not an identity as 'bluelamp keys init' prints it")
    certificates = folder / got["certificates"].text()
    return Custody(name=got["name"].text(), identity=identity, certificates=certificates)


def _witnesses(node: Node | None) -> tuple[Bystander, ...]:
    found: list[Bystander] = []
    for item in node.list(empty=True) if node else ():
        got = item.mapping(required=("url", "key"))
        url = got["url"].text().rstrip("/")
        if not url.startswith(("http://", "https://")):
            got["url"].fail(f"{url!r} is not an address such as https://witness.force.example")
        try:
            key = Cosigner.parse(got["key"].text())
        except Unsound as exc:
            got["key"].fail(f"{exc}; 'bluelamp witness' prints it when it starts")
        if key.name in {one.key.name for one in found}:
            got["key"].fail(f"the witness {key.name!r} is given twice")
        found.append(Bystander(url=url, key=key))
    return tuple(found)


def load_policies(folder: Path, *, clock: Callable[[], float] | None = time.perf_counter) -> Policy:
    """Read every policy file of *folder*, all or nothing.

    Raises:
        PolicyError: something in one of them is wrong.
    """
    try:
        return load(read_files(folder), clock=clock)
    except PolicyError as exc:
        raise PolicyError(str(folder / exc.source), exc.line, exc.problem) from None


def load_register(config: Config) -> tuple[Register, People, Lock]:
    """Read rooms.yaml, people.csv and, if there is one, rooms.lock.yaml.

    Raises:
        ConfigError: something in one of them is wrong.
    """
    people = load_people(read_text(config.people, "the list of people"), str(config.people))
    register = load_rooms(
        read_text(config.rooms, "the register of rooms"), str(config.rooms), people
    )
    if not config.lock.exists():
        return register, people, Lock()
    return register, people, load_lock(read_text(config.lock, "the room ids"), str(config.lock))


def save_lock(config: Config, lock: Lock) -> None:
    """Write rooms.lock.yaml in one step."""
    fresh = config.lock.with_suffix(".new")
    fresh.write_text(dump_lock(lock), encoding="utf-8")
    fresh.replace(config.lock)


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
    )


def verifier_file(config: Config) -> Path:
    """Where the ledger's public key is kept for whoever verifies it."""
    return (config.anchor or config.ledger).with_name("verifier.key")
