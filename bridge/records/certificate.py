"""A removal certificate as people read it: what was taken out, and what is left and why.

Never shows a word of a message: a certificate has none.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bridge.model import Step


class _Inside(msgspec.Struct):
    """What is inside the outcome of a closure."""

    detail: str = ""
    certificate: tuple[Step, ...] = ()


def certificate(inside: bytes, *, status: str, when: str) -> str:
    """Spell out the certificate in an opened outcome; empty if it has none.

    *status* is the outcome's, *when* it was written as people say it.
    """
    try:
        found = msgspec.json.decode(inside, type=_Inside)
    except msgspec.MsgspecError:
        return ""
    if not found.certificate:
        return ""
    how = {"done": "closed", "failed": "not closed yet", "refused": "not closed"}
    target = found.certificate[0].target or "a message"
    head = f"Removal of {target}: {how.get(status, status)}, {when}"
    return "\n".join((head, *_lines(found)))


def _lines(found: _Inside) -> Iterator[str]:
    if found.detail:
        yield f"  because: {found.detail}"
    for step in found.certificate:
        what = " ".join(filter(None, (step.target, f"({step.detail})" if step.detail else "")))
        yield f"  {step.what:<16} {step.fate.value:<15} {what}".rstrip()
