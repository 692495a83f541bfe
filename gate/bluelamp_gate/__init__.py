"""The gate: a Synapse module that asks the Blue Lamp bot before a message is delivered.

It never has a key and never sees a word in clear: the bot, a member of the room, decrypts.
Name `bluelamp_gate.Gate` under `modules` in homeserver.yaml.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Find the module's class; only then is Synapse needed."""
    if name != "Gate":
        raise AttributeError(name)
    from bluelamp_gate.gate import Gate  # noqa: PLC0415

    return Gate
