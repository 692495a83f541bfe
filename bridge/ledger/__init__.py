"""The sealed, provable record. Formats and promises: docs/ledger.md.

Never opens a file or a socket and never reads a clock: bytes and times come in as arguments, so
that every part of it can be checked by hand.
"""

from __future__ import annotations

from typing import Final

#: Stands in every derivation and signature, so that nothing of ours is valid elsewhere.
FORMAT: Final = b"bluelamp/ledger/v1"
#: The version field of headers.
VERSION: Final = 1
