"""`bluelamp run` on a machine that does much else meanwhile. For the tests only.

Usage: python -m tests.acceptance.patient_bot -c CONFIG run. It is the bot as it is, and gives the
homeserver longer: at a force, a copy that takes more than a few seconds keeps no leak open, and
what was to be looked up for it is left out; where the homeserver is starved, that would be a story
of its own.
"""

from __future__ import annotations

import sys

from bridge.acting import enforce
from bridge.cli.main import main

PATIENCE_S = 120.0


def wait() -> None:
    """Give every effect as long as it takes."""
    for name in ("COPY_S", "EFFECT_S", "PARENT_S"):
        assert hasattr(enforce, name)
        setattr(enforce, name, PATIENCE_S)


if __name__ == "__main__":
    wait()
    sys.exit(main())
