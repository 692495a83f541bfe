"""A custodian's vault file: keys under a share that is kept apart, and an officer's passphrase.

Never opens a file: bytes in, bytes out. What is inside is encrypted under a random root *and* the
share; the root is sealed to every officer's slot, as a disk's key is to LUKS slots. So a fresh root
and share can be drawn without knowing the other officers' passphrases, and an old copy of the file
is noise, to somebody with the right passphrase too, once the share has been replaced.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import CannotOpen, LedgerError, UsageError
from bridge.ledger.keys import Custodian, public_of, seal_to, unseal_with
from bridge.verify import Unsound
from bridge.verify.headers import FORMAT
from bridge.verify.notes import decode64, encode64
from bridge.verify.papers import Paper

SHARE_BYTES = 32
#: RFC 9106's second recommended setting: 64 MiB, three passes, four lanes.
_MEMORY_KIB, _PASSES, _LANES = 65_536, 3, 4
_FIRST, _SECOND = "bluelamp vault 1", "bluelamp vault 2"
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signed: str
    seed: str


class _Inside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    identity: str
    buckets: dict[str, _Bucket]
    #: Hold → the seed of the key that its saved halves are sealed to. From format 2 on.
    holds: dict[str, str] = {}
    #: What was signed of buckets whose key is destroyed. From format 2 on.
    attested: dict[str, Paper] = {}


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One officer's way in. All but `who` is base64."""

    who: str
    salt: str
    nonce: str
    #: The seed of the slot's key pair, under the officer's passphrase.
    wrapped: str
    #: The public half.
    key: str


class _Middle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    slots: tuple[Slot, ...]
    #: The root, sealed to each slot, in their order.
    roots: tuple[str, ...]
    nonce: str
    sealed: str


class _Outside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    salt: str
    nonce: str
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """An opened vault."""

    custodian: Custodian
    slots: tuple[Slot, ...]
    #: Whose passphrase opened it.
    who: str
    root: bytes = field(repr=False)

    def with_fresh_root(self) -> Vault:
        """The same under another root, as is due when something was destroyed."""
        return replace(self, root=secrets.token_bytes(32))

    def with_slot(self, who: str, passphrase: str) -> Vault:
        """The same with one more officer's slot.

        Raises:
            UsageError: there is one of this name.
        """
        if who in {slot.who for slot in self.slots}:
            raise UsageError(f"{who} has a slot in this vault already")
        if any(_seed(slot, _normal(passphrase)) for slot in self.slots):
            raise UsageError("this passphrase is another officer's: each needs their own")
        return replace(self, slots=(*self.slots, _slot(who, passphrase)))

    def without_slot(self, who: str) -> Vault:
        """The same without an officer's slot, under another root.

        Raises:
            UsageError: there is no such slot, or it is the last.
        """
        left = tuple(slot for slot in self.slots if slot.who != who)
        if len(left) == len(self.slots):
            known = ", ".join(slot.who for slot in self.slots)
            raise UsageError(f"{who} has no slot in this vault; these have: {known}")
        if not left:
            raise UsageError(f"{who} is the only officer who can open this vault")
        return replace(self.with_fresh_root(), slots=left)


def create(custodian: Custodian, passphrase: str, *, who: str) -> Vault:
    """Make the vault of *custodian*, with one slot."""
    slots = (_slot(who, passphrase),)
    return Vault(custodian=custodian, slots=slots, who=who, root=secrets.token_bytes(32))


def seal_vault(vault: Vault, share: bytes) -> bytes:
    """Return the vault file: format 2."""
    one = vault.custodian
    inside = _Inside(
        name=one.name,
        identity=encode64(one.identity),
        buckets={name: _Bucket(signed, encode64(seed)) for name, (signed, seed) in
                 one.seeds.items()},
        holds={name: encode64(seed) for name, seed in one.holds.items()},
        attested=dict(one.attested),
    )  # fmt: skip
    salt, nonce, inner = (secrets.token_bytes(n) for n in (16, 12, 12))
    sealed = AESGCM(_content_key(vault.root, share, salt)).encrypt(
        inner, _encode(inside), _bound(vault.slots)
    )
    middle = _Middle(
        slots=vault.slots,
        roots=tuple(
            encode64(seal_to(_raw(slot.key), vault.root, _slot_info(slot.who)))
            for slot in vault.slots
        ),
        nonce=encode64(inner),
        sealed=encode64(sealed),
    )
    outer = AESGCM(_share_key(share, salt)).encrypt(nonce, _encode(middle), _SECOND.encode())
    return _encode(
        _Outside(format=_SECOND, salt=encode64(salt), nonce=encode64(nonce), sealed=encode64(outer))
    )


def open_vault(raw: bytes, passphrase: str, share: bytes) -> Vault:
    """Open a vault file of either format.

    Raises:
        CannotOpen: the passphrase is wrong, or the share belongs to another state of the vault.
        LedgerError: it is not a vault file, or is damaged.
    """
    outside = _outside(raw)
    try:
        if outside.format == _FIRST:
            custodian = _custodian(_open_first(outside, passphrase, share))
            return create(custodian, passphrase, who=custodian.name)
        return _open_second(outside, passphrase, share)
    except ValueError:
        raise LedgerError("this vault file is damaged: its salt or nonce is too short") from None
    except msgspec.MsgspecError:
        raise LedgerError("this vault opens, but what is inside is not a custodian's") from None


def fits(raw: bytes, share: bytes) -> bool | None:
    """Say whether *share* belongs to this vault file; None where only a passphrase can tell.

    Raises:
        LedgerError: it is not a vault file.
    """
    outside = _outside(raw)
    if outside.format == _FIRST:
        return None
    try:
        _middle(outside, share)
    except CannotOpen:
        return False
    return True


def officers(raw: bytes, share: bytes) -> tuple[str, ...]:
    """Say whose passphrases open this vault file; of format 1 nobody's name is known.

    Raises:
        CannotOpen: the share does not belong to it.
        LedgerError: it is not a vault file.
    """
    outside = _outside(raw)
    if outside.format == _FIRST:
        return ()
    return tuple(slot.who for slot in _middle(outside, share).slots)


def lock(custodian: Custodian, passphrase: str, share: bytes) -> bytes:
    """Return a vault file of *custodian* with a single slot, in the custodian's own name."""
    return seal_vault(create(custodian, passphrase, who=custodian.name), share)


def unlock(raw: bytes, passphrase: str, share: bytes) -> Custodian:
    """Open a vault file and return whose it is; raises as `open_vault`."""
    return open_vault(raw, passphrase, share).custodian


def _outside(raw: bytes) -> _Outside:
    try:
        outside = msgspec.json.decode(raw, type=_Outside)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise LedgerError("this is not a custodian's vault file") from None
    if outside.format not in {_FIRST, _SECOND}:
        raise LedgerError(f"this vault has the format {outside.format!r}, which is unknown here")
    return outside


def _open_first(outside: _Outside, passphrase: str, share: bytes) -> _Inside:
    salt = _raw(outside.salt)
    root = HKDF(hashes.SHA256(), 32, salt, FORMAT + b"/vault").derive(
        _stretch(passphrase.encode(), salt) + share
    )
    try:
        plain = AESGCM(root).decrypt(_raw(outside.nonce), _raw(outside.sealed), _FIRST.encode())
    except InvalidTag:
        raise CannotOpen(
            "the vault does not open: the passphrase is wrong, or the share file does not belong "
            "to this copy of the vault"
        ) from None
    return msgspec.json.decode(plain, type=_Inside)


def _open_second(outside: _Outside, passphrase: str, share: bytes) -> Vault:
    middle = _middle(outside, share)
    slot, root = _root(middle, passphrase)
    key = _content_key(root, share, _raw(outside.salt))
    try:
        plain = AESGCM(key).decrypt(_raw(middle.nonce), _raw(middle.sealed), _bound(middle.slots))
    except InvalidTag:
        raise CannotOpen("the vault does not open: somebody has changed it") from None
    custodian = _custodian(msgspec.json.decode(plain, type=_Inside))
    return Vault(custodian=custodian, slots=middle.slots, who=slot.who, root=root)


def _middle(outside: _Outside, share: bytes) -> _Middle:
    try:
        plain = AESGCM(_share_key(share, _raw(outside.salt))).decrypt(
            _raw(outside.nonce), _raw(outside.sealed), _SECOND.encode()
        )
    except InvalidTag:
        raise CannotOpen(
            "the vault does not open: the share file does not belong to this copy of the vault, "
            "or the copy is damaged"
        ) from None
    return msgspec.json.decode(plain, type=_Middle)


def _root(middle: _Middle, passphrase: str) -> tuple[Slot, bytes]:
    """Find the slot that the passphrase opens, and in it the root."""
    spelt = _normal(passphrase)
    for slot, sealed in zip(middle.slots, middle.roots, strict=True):
        if (seed := _seed(slot, spelt)) is not None:
            return slot, unseal_with(seed, _raw(sealed), _slot_info(slot.who))
    raise CannotOpen("the vault does not open: the passphrase is wrong")


def _seed(slot: Slot, spelt: bytes) -> bytes | None:
    """Open a slot with a normalised passphrase; None if it is not that officer's."""
    key = _stretch(spelt, _raw(slot.salt))
    try:
        return AESGCM(key).decrypt(_raw(slot.nonce), _raw(slot.wrapped), _slot_info(slot.who))
    except InvalidTag:
        return None


def _slot(who: str, passphrase: str) -> Slot:
    seed, salt, nonce = secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(12)
    key = _stretch(_normal(passphrase), salt)
    return Slot(
        who=who,
        salt=encode64(salt),
        nonce=encode64(nonce),
        wrapped=encode64(AESGCM(key).encrypt(nonce, seed, _slot_info(who))),
        key=encode64(public_of(seed)),
    )


def _normal(passphrase: str) -> bytes:
    """Spell a passphrase in one way, however the keyboard composed its letters."""
    return unicodedata.normalize("NFKC", passphrase).encode()


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    return Argon2id(
        salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    ).derive(passphrase)


def _share_key(share: bytes, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, FORMAT + b"/vault/share").derive(share)


def _content_key(root: bytes, share: bytes, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, FORMAT + b"/vault/root").derive(root + share)


def _slot_info(who: str) -> bytes:
    return FORMAT + b"/vault/slot\n" + who.encode()


def _bound(slots: Sequence[Slot]) -> bytes:
    """What the content is bound to, so that nobody slips in a slot of their own."""
    return _SECOND.encode() + b"\n" + _encode(slots)


def _raw(text: str) -> bytes:
    try:
        return decode64(text)
    except Unsound:
        raise LedgerError("this vault file is damaged") from None


def _custodian(inside: _Inside) -> Custodian:
    return Custodian(
        inside.name,
        _raw(inside.identity),
        {name: (one.signed, _raw(one.seed)) for name, one in inside.buckets.items()},
        holds={name: _raw(seed) for name, seed in inside.holds.items()},
        attested=dict(inside.attested),
    )
