"""`bluelamp run` for which it is later than for everybody else. For the tests only.

Usage: python -m tests.acceptance.later_bot -c CONFIG run HOURS. Its clock is a real one that is so
many hours ahead; what waits for a time waits for less.
"""

from __future__ import annotations

import sys
import time

from bridge.cli.main import main
from tests.acceptance.patient_bot import wait

_HOUR_NS = 3_600_000_000_000


def hurry(hours: int) -> None:
    """Have every clock of this process be ahead."""
    real = time.time_ns
    time.time_ns = lambda: real() + hours * _HOUR_NS


if __name__ == "__main__":
    wait()
    hurry(int(sys.argv[-1]))
    sys.exit(main(sys.argv[1:-1]))
