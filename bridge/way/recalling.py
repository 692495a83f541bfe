"""Asks the store what is on record about the messages of one batch, and about what they point to.

Never judges, and keeps nothing: what was found is a `Recall`.
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.model import Batch
from bridge.ports import Store
from bridge.way import members
from bridge.way.following import answered
from bridge.way.recall import Recall


async def recalled(batch: Batch, store: Store, reactions: Collection[str]) -> Recall:
    """Look up what *batch* is about; *reactions* are those that call a message operational."""
    edited = {m.replaces for m in batch.messages if m.replaces}
    # An edit of an edit is an edit of the first message, whatever its sender's client says.
    roots = await store.known(tuple(edited)) if edited else {}
    edited |= {known.replaces for known in roots.values() if known.replaces}
    ids = edited | {m.event_id for m in batch.messages}
    ids |= {event for m in batch.messages if (event := members.marked(m, reactions))}
    ids |= {event for m in batch.messages for event in answered(m)}
    return Recall(
        known=dict(await store.known(tuple(ids))),
        sources=dict(await store.sources(batch.messages)),
        edits={e: list(await store.edits(e)) for e in edited},
    )
