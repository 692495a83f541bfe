"""The peer: the least that moves a message. matrix-nio as it comes, and a regular expression.

Never keeps a ledger, judges, tells anybody, or recovers from anything: it is what we are held
against. Usage: python -m benchmarks.peer URL USER PASSWORD_FILE FOLDER SOCIAL SECURE; it says
"ready" when it listens.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from nio import AsyncClient, AsyncClientConfig, MatrixRoom, RoomMessageText

PLATE = re.compile(r"\b[A-Z]{2}[0-9]{2} [A-Z]{3}\b")


async def move(client: AsyncClient, social: str, secure: str) -> None:
    """Copy what has a plate from *social* to *secure*, and take the original out, for ever."""

    async def moved(room: MatrixRoom, event: RoomMessageText) -> None:
        if room.room_id != social or not PLATE.search(event.body):
            return
        content = {"msgtype": "m.notice", "body": f"{event.sender}: {event.body}"}
        await client.room_send(secure, "m.room.message", content, ignore_unverified_devices=True)
        await client.room_redact(social, event.event_id, "Moved")

    for room in (social, secure):
        await client.join(room)
    await client.sync(full_state=True)
    await client.keys_upload()
    client.add_event_callback(moved, RoomMessageText)
    print("ready", flush=True)
    await client.sync_forever(timeout=30_000)


async def main(folder: Path, url: str, user: str, password: str, *rooms: str) -> None:
    """Sign in on a new device that keeps its keys in *folder*; move from one room to the other."""
    config = AsyncClientConfig(encryption_enabled=True)
    client = AsyncClient(url, user, store_path=str(folder), config=config)
    try:
        await client.login(password)
        await move(client, *rooms)
    finally:
        await client.close()


if __name__ == "__main__":
    url, user, password_file, keys, social, secure = sys.argv[1:]
    Path(keys).mkdir(parents=True, exist_ok=True)
    password = Path(password_file).read_text(encoding="utf-8").strip()
    asyncio.run(main(Path(keys), url, user, password, social, secure))
