"""Puts together what shows people the cards of their rooms while the bot runs.

Never says what a card says, or who is to be shown it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.acting.hanging import Hanging
from bridge.duties.showing import Showing
from bridge.matrix.pins import MatrixPins
from bridge.matrix.transport import MatrixTransport
from bridge.model import RoomId, UserId
from bridge.policy import Policy
from bridge.ports import Store
from bridge.register import Register
from bridge.rooms.board import Board
from bridge.rooms.cards import Want
from bridge.rooms.housing import wants
from bridge.rooms.upkeep import Upkeep
from bridge.running.parts import Parts, now
from bridge.store.reader import told_in
from bridge.way.pipeline import Pipeline


def showing(
    parts: Parts,
    transport: MatrixTransport,
    store: Store,
    upkeep: Upkeep,
    pipeline: Pipeline,
) -> Showing:
    """Make what hangs the cards, tells joiners, and hears by *pipeline* who acknowledges."""
    made: list[tuple[Policy, Register, Mapping[str, Want]]] = []

    def wanted() -> Mapping[RoomId, tuple[Want, Collection[UserId]]]:
        policy, register = pipeline.policy(), parts.register
        if not made or made[0][0] is not policy or made[0][1] is not register:
            made[:] = [(policy, register, wants(parts.config, register, policy))]
        found = {}
        for key, want in made[0][2].items():
            look = upkeep.looks.get(key)
            room = parts.rooms.get(look.id) if look is not None and look.id is not None else None
            if look is None or room is None or room.rehearse or key in upkeep.closed:
                continue  # in a rehearsal nothing is sent
            inside = {user for user in look.inside if transport.is_member(room.id, user)}
            found[room.id] = want, inside
        return found

    shows = Showing(
        board=Board.of(told_in(parts.config.ledger)),
        hanging=Hanging(transport=transport, pins=MatrixPins(transport.api)),
        wants=wanted,
        direct=transport.direct,
        is_member=transport.is_member,
        record=store.append,
        clock=now,
    )
    pipeline.cards = shows.hear
    return shows
