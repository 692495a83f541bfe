"""Room on the disk: kept back for a bad day, and measured so that the day is seen coming.

Never more than a file of zeros beside the ledger. A ledger that cannot be written to stops the
bot, and stopping stops removal as well: so the last megabytes are set aside beforehand, and given
up at the start after the disk was full, with an alarm.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Set aside: enough for a day of a busy force's records.
RESERVE = 64 << 20


def free(path: Path) -> int:
    """How many bytes are free where the ledger at *path* lies."""
    return shutil.disk_usage(path.parent).free


def set_aside(path: Path, size: int = RESERVE) -> None:
    """Set *size* bytes aside beside *path* if there is plenty; give them up if there is nothing."""
    reserve = path.with_suffix(".reserve")
    path.parent.mkdir(parents=True, exist_ok=True)
    left = free(path)
    if reserve.exists():
        if left < size // 8:
            reserve.unlink()
        return
    if left < 4 * size:
        return
    with reserve.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError:  # a file system that cannot, or has just run full
            reserve.unlink()
