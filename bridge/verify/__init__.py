"""Checks a ledger, or a proof of one record, and does nothing else.

This package is for outsiders: it never imports anything of the rest of Blue Lamp, it has no
clock, file or socket, and it can be read in an evening, in this order: `tree` (RFC 6962),
`notes` (signed checkpoints and cosignatures), `headers` (what a record may look like), `papers`
(what custodians sign), `report`, `past` (what goes on from log to log), `points` (steps 4 to 6),
`custody` (steps 8, 12 and 13), `steps` (the others, and the pass), `opening`, `proofs` and `pack`
(one record, shown to a court).
docs/ledger.md has the format in words.
"""


class Unsound(Exception):
    """Something is not what it claims to be, or not in the one form it may have."""

    #: The exit code of the command line.
    exit_code = 1
