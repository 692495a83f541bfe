"""Decides again about messages that the model read only after the rules had decided.

Never makes a verdict milder, and never holds up intake: it takes its turn between batches.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass

from bridge.facts import Noted
from bridge.ports import Store
from bridge.understand.stage import Understanding
from bridge.way.pipeline import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Rereading:
    """Follows what the model says too late."""

    understanding: Understanding
    pipeline: Pipeline
    store: Store

    async def run(self) -> None:
        """Follow it for ever."""
        async for message, belief in self.understanding.late():
            if belief is not None:
                await self.pipeline.reread(message, belief)
            if count := self.understanding.relieved():
                text = (
                    f"{count} messages were judged by rules alone: more came at once than the "
                    "language model can read"
                )
                await self.store.append([Noted(text=text)])


def follow_late(
    understanding: Understanding | None, pipeline: Pipeline, store: Store
) -> list[Coroutine[None, None, None]]:
    """Give what follows *understanding* for ever: nothing where there is no model."""
    if understanding is None:
        return []
    return [Rereading(understanding=understanding, pipeline=pipeline, store=store).run()]
