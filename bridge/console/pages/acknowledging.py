"""Who was shown which card of which room, under which policy, and who has acknowledged it.

Never shows a word that anybody but the bot has said: cards, names and times, which the bot's
notebook has in the clear.
"""

from __future__ import annotations

import asyncio
import datetime

from aiohttp import web

from bridge.console.desk import Here, Said, here
from bridge.errors import StoreError
from bridge.records.notices import Room, standings
from bridge.rooms.board import Board
from bridge.store.reader import told_in


async def show(request: web.Request) -> web.Response:
    """Count it by room."""
    at = here(request)
    rooms = await _rooms(at)
    unshown = {one.user for room in rooms for one in room.unshown}
    silent = {one.user for room in rooms for one in room.silent}
    return at.page("acknowledgements.html", rooms=rooms, unshown=len(unshown), silent=len(silent))


async def show_room(request: web.Request) -> web.Response:
    """Show who was shown the card of one room, and who has not been."""
    at, key = here(request), request.match_info["room"]
    found = next((one for one in await _rooms(at) if one.key == key), None)
    if found is None:
        raise Said("There is no such room with a card.", 404)
    await at.look("kind:notice", f"read who was shown the card of {found.name}")
    return at.page("acknowledgement.html", room=found)


async def _rooms(at: Here) -> list[Room]:
    register, people, lock = at.desk.register()
    policy = await at.desk.policy()
    carded = {cls for cls, one in policy.classes.items() if one.card}
    now = datetime.datetime.fromtimestamp(at.desk.clock() / 1000, at.desk.config.zone)
    try:
        told = await asyncio.to_thread(told_in, at.desk.config.ledger)
    except StoreError:
        told = []  # the bot has not run yet
    return list(standings(register, people, lock, Board.of(told), carded, now.date()))
