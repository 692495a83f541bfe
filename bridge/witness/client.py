"""The bot's side of a witness: asks one over HTTP, and checks what it signs.

Never believes a cosignature that does not verify under the configured key, and never repeats
what a witness says besides: an answer is a size, a signature, or a number.
"""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from bridge.bounded import at_most
from bridge.errors import WitnessDisagrees, WitnessElsewhere, WitnessError
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, cosigned, size_of
from bridge.witness.judge import ELSEWHERE, FORBIDDEN, INCONSISTENT, UNKNOWN
from bridge.witness.wire import encode

_PATIENCE = aiohttp.ClientTimeout(total=8.0, connect=4.0)
#: Bytes of an answer that are looked at: sixteen large signatures.
_LONGEST = 128 * 1024


class HttpWitness:
    """Keeps the promises of `ports.Witness`, with the witness at one address."""

    def __init__(self, url: str, key: Cosigner) -> None:
        """Speak to the witness whose submission prefix is *url*, and who signs with *key*."""
        self._url, self._key = url.rstrip("/"), key
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """Whom its cosignatures are by."""
        return self._key.name

    async def cosign(self, old: int, proof: Sequence[bytes], note: str) -> str:
        """Have it cosign *note*, which by *proof* continues what it saw at the size *old*."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE)
        try:
            async with self._session.post(
                f"{self._url}/add-checkpoint",
                data=encode(old, proof, note).encode(),
                headers={"Content-Type": "text/plain; charset=utf-8"},
                allow_redirects=False,
            ) as response:
                status, raw = response.status, await at_most(response.content, _LONGEST)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise WitnessError(
                f"The witness {self.name} does not answer ({type(exc).__name__})."
            ) from None
        return accepted(note, raw, self._key) if status == 200 else refused(self.name, status, raw)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def accepted(note: str, raw: bytes, key: Cosigner) -> str:
    """Return those lines of an answer that are cosignatures of *note* by *key*.

    Raises:
        WitnessError: there is none.
    """
    lines = [line for line in raw.decode("utf-8", "replace").split("\n") if line]
    good = [f"{line}\n" for line in lines if _is_by(key, f"{note}{line}\n")]
    if not good:
        raise WitnessError(
            f"The witness {key.name} answered without a signature of the key that is configured."
        )
    return "".join(good)


def _is_by(key: Cosigner, note: str) -> bool:
    """Whether the cosignatures of *key* on the note are right, and there is one."""
    try:
        return bool(cosigned(note, [key]))
    except Unsound:
        return False


def refused(name: str, status: int, raw: bytes) -> str:
    """Raise what an answer other than a signature means.

    Raises:
        WitnessElsewhere: its newest checkpoint is of another size than we said.
        WitnessDisagrees: it has seen another history.
        WitnessError: anything else.
    """
    if status == ELSEWHERE:
        try:
            size = size_of(raw.decode("ascii", "replace").removesuffix("\n"))
        except Unsound:
            raise WitnessError(f"The witness {name} refused without saying its size.") from None
        raise WitnessElsewhere(f"The witness {name} stands at {size}.", size=size)
    if status == INCONSISTENT:
        raise WitnessDisagrees(f"The witness {name} has seen another history of this ledger.")
    if status == UNKNOWN:
        raise WitnessError(
            f"The witness {name} does not know this ledger; start it with --log and the "
            "ledger's key."
        )
    if status == FORBIDDEN:
        raise WitnessError(
            f"The witness {name} refused the ledger's signature: it knows this ledger by another "
            "key."
        )
    raise WitnessError(f"The witness {name} refused (status {status}).")
