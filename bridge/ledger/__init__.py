"""The sealed, provable record. Formats and promises: docs/ledger.md; checking it: `bridge.verify`.

Never opens a file or a socket and never reads a clock: bytes and times come in as arguments, so
that every part of it can be checked by hand.
"""
