"""The register with the MoPI groups and review dates that people have given rooms since.

Never writes the register: what stands in it counts on.
"""

from __future__ import annotations

import datetime

from bridge.config import Config
from bridge.facts import Fate
from bridge.register import Register, overseen
from bridge.store.reader import labelled


def decided(register: Register, config: Config) -> Register:
    """Put what is on record about rooms into *register*.

    Raises:
        StoreError: the ledger cannot be read.
    """
    labels, appraisals = labelled(config.ledger)
    reviews = (
        (one.item, datetime.datetime.fromtimestamp(one.until / 1000, config.zone).date())
        for one in appraisals
        if one.fate == Fate.RETAIN and one.until is not None
    )
    return overseen(register, ((one.item, one.group) for one in labels), reviews)
