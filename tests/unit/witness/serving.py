"""A witness in a process of its own: python -m tests.unit.witness.serving FOLDER.

What the command does, without what else the command line brings: it starts ten times quicker.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from bridge.witness.folder import Folder
from bridge.witness.judge import Judge
from bridge.witness.server import listening, stopped
from tests.unit.witness.history import LOG, NAME


async def main() -> None:
    stop = stopped()
    folder = Folder(Path(sys.argv[1]))
    judge = Judge(NAME, folder.key(NAME), [LOG], folder, time.time)
    async with listening(judge, "127.0.0.1", 0) as url:
        print(f"url: {url}\nkey: {judge.cosigner}", flush=True)
        await stop.wait()
    folder.close()


if __name__ == "__main__":
    asyncio.run(main())
