"""Every error that this program raises on purpose. The docstring is the message's first half.

* BridgeError                what went wrong, where, and what to do
  x ConfigError              a file that the force writes is wrong: config, people, rooms (exit 3)
    + PolicyError            a policy file is wrong; the old policy stays
  x ModelRefused             the language model cannot be used; rules go on without it (exit 3)
  x UsageError               the command was used wrongly (exit 3)
  x TransportError           the homeserver could not be reached; worth trying again (exit 4)
    + RateLimited            it asked us to wait
    + NotPermitted           it refused for good; do not retry, tell a person
      - NotSignedIn          our token or password is not accepted
    + NotFound               what we asked about is not there
    + TooLarge               a file is longer than we keep
  x DirectoryError           the force's directory gave no whole answer; worth trying again (exit 4)
  x StoreError               the store cannot be used: full, damaged, locked (exit 4)
    + StoreLocked            another process writes to it
    + StoreBehind            it is older than a checkpoint kept elsewhere
  x WitnessError             a witness cannot be reached or refuses; never stops the bot (exit 4)
    + WitnessElsewhere       its newest checkpoint is of another size than we said
    + WitnessDisagrees       it has seen another history of this ledger
  x LedgerError              a key or paper is not what it should be (exit 1); an `Unsound`, as
                             everything that `bridge.verify` refuses is
    + CannotOpen             sealed to a key that is not here
    + NoCertificate          no custodian's key for this bucket: nothing may be recorded
"""

from __future__ import annotations

from bridge.verify import Unsound


class BridgeError(Exception):
    """Something this program expected might go wrong, went wrong."""

    #: The exit code of the command line.
    exit_code = 4


class ConfigError(BridgeError):
    """A file that the force writes cannot be used."""

    exit_code = 3

    def __init__(self, source: str, line: int | None, problem: str) -> None:
        """Say what is wrong in which file, and on which line (from 1) where one is known."""
        where = source if line is None else f"{source}:{line}"
        super().__init__(f"{where}: {problem}")
        self.source, self.line, self.problem = source, line, problem


class PolicyError(ConfigError):
    """A policy file cannot be used."""


class ModelRefused(BridgeError):
    """The language model is missing, was altered, or does not run."""

    exit_code = 3


class UsageError(BridgeError):
    """The command was used wrongly."""

    exit_code = 3


class TransportError(BridgeError):
    """The homeserver could not be reached or failed; worth trying again."""


class RateLimited(TransportError):
    """The homeserver asked us to wait."""

    def __init__(self, message: str, *, retry_after_ms: int) -> None:
        """Carry how long to wait, in milliseconds."""
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class NotPermitted(TransportError):
    """The homeserver refused for good; trying again will not help."""


class NotSignedIn(NotPermitted):
    """The homeserver does not accept our token or password."""

    exit_code = 3


class NotFound(TransportError):
    """The homeserver does not know what we asked about."""


class TooLarge(NotPermitted):
    """A file is longer than we keep."""


class DirectoryError(BridgeError):
    """The force's directory of people was not reached, refused, or left somebody out."""


class StoreError(BridgeError):
    """The store cannot be used."""


class StoreLocked(StoreError):
    """Another process writes to this store."""


class StoreBehind(StoreError):
    """The store is older than a checkpoint that was kept elsewhere."""


class WitnessError(BridgeError):
    """A witness could not be reached, or refused; worth trying again."""


class WitnessElsewhere(WitnessError):
    """The newest checkpoint that the witness has seen is of another size than we said."""

    def __init__(self, message: str, *, size: int) -> None:
        """Carry the size that it has seen, in records."""
        super().__init__(message)
        self.size = size


class WitnessDisagrees(WitnessError):
    """The witness has seen a history that ours does not continue."""


class LedgerError(BridgeError, Unsound):
    """A record, key or proof is not what it should be."""

    exit_code = 1


class CannotOpen(LedgerError):
    """Sealed to a key that is not here."""


class NoCertificate(LedgerError):
    """No custodian's key covers this bucket, so nothing may be recorded in it."""

    exit_code = 3
