"""What the server can hold for us by itself, without asking anybody. Pure.

Never looks into a message: types, senders and state only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bluelamp_gate.settings import Settings

#: Set by the bot in each room on the register; believed from the bot, and of a room's beginning.
CLASS_TYPE = "uk.police.room_class"
#: Stands in what is delivered instead of a stopped message.
MARKER = "uk.police.gate"
#: Classes whose messages are judged, and so are asked about.
JUDGED = frozenset({"social", "community"})
#: Of which people may make rooms; rooms of other classes are the bot's own.
CLASSES = ("social", "operational", "community")
#: Nobody but the bot may set these in a managed room.
GUARDED = frozenset(
    {
        "m.room.encryption", "m.room.join_rules", "m.room.guest_access",
        "m.room.history_visibility", "m.room.power_levels", "m.room.server_acl",
        "m.room.tombstone", "m.room.canonical_alias", "m.room.retention", "m.space.parent",
        CLASS_TYPE,
    }
)  # fmt: skip
#: Said by clients about a message and carrying no words of their own.
_WORDLESS = frozenset({"m.room.redaction"})

State = Mapping[tuple[str, str], Any]


@dataclass(frozen=True)
class Managed:
    """What the bot says of one room in its class state."""

    cls: str
    budget_ms: int
    #: What happens to a message when the bot gives no answer in time.
    refuse_unanswered: bool


def managed(state: State, settings: Settings) -> Managed | None:
    """Say what the bot says of this room; None if it is none of ours."""
    event = state.get((CLASS_TYPE, ""))
    if event is None or not (event.sender == settings.bot or _is_begun(state, event, settings)):
        return None
    content = event.content
    cls = content.get("class")
    if not isinstance(cls, str):
        return None
    gate = content.get("gate")
    gate = gate if isinstance(gate, Mapping) else {}
    budget = gate.get("budget_ms")
    good = isinstance(budget, int) and not isinstance(budget, bool) and 1 <= budget <= 5_000
    return Managed(
        cls=cls,
        budget_ms=budget if good else settings.budget_ms,
        refuse_unanswered=gate.get("unanswered") == "refuse",
    )


def _is_begun(state: State, event: Any, settings: Settings) -> bool:
    """Say whether the class is as the room was made with, by `template`: the bot is a creator."""
    create = state.get(("m.room.create", ""))
    if create is None or create.sender != event.sender:
        return False
    creators = create.content.get("additional_creators")
    ours = isinstance(creators, list | tuple) and settings.bot in creators
    return ours and create.content.get(CLASS_TYPE) == event.content.get("class")


def template(config: dict[str, Any], cls: str, settings: Settings) -> None:
    """Have a room made with the bot as a creator, encrypted, and of its class from the beginning.

    *config* is what its maker asked for; name, topic and whom they invite stay theirs.
    """
    config |= {"room_version": "12", "preset": "private_chat", "visibility": "private"}
    config.pop("power_level_content_override", None)
    content = dict(config.get("creation_content") or {})
    others = content.get("additional_creators")
    others = [one for one in others if isinstance(one, str)] if isinstance(others, list) else []
    content["additional_creators"] = sorted({*others, settings.bot})
    config["creation_content"] = content
    invited = config.get("invite")
    invited = invited if isinstance(invited, list) else []
    config["invite"] = [*(one for one in invited if one != settings.bot), settings.bot]
    asked = config.get("initial_state")
    state = [one for one in (asked if isinstance(asked, list) else [])
             if isinstance(one, dict) and one.get("type") not in GUARDED]  # fmt: skip
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    state.append({"type": "m.room.encryption", "state_key": "", "content": encryption})
    # The last one: from here on nobody but the bot may set what is guarded.
    state.append({"type": CLASS_TYPE, "state_key": "", "content": {"class": cls}})
    config["initial_state"] = state


def is_in(state: State, user: str) -> bool:
    """Say whether *user* is in the room."""
    member = state.get(("m.room.member", user))
    return member is not None and member.content.get("membership") == "join"


def refused(
    kind: str, sender: str, *, is_state: bool, state: State, settings: Settings
) -> str | None:
    """Say why an event of a managed room may not be, by type and state alone; None if it may."""
    if sender == settings.bot:
        return None
    if is_state:
        if settings.guard_state and kind in GUARDED:
            return f"This room is looked after by Blue Lamp. To change it, ask {settings.ask}."
        return None
    if kind in _WORDLESS:
        return None
    if settings.wait_for_bot and not is_in(state, settings.bot):
        return "Blue Lamp is not in this room yet. Please try again in a moment."
    encrypted = ("m.room.encryption", "") in state
    if settings.no_plaintext and encrypted and kind == "m.room.message":
        return "This room is encrypted, and this message was not. Please try again in a moment."
    return None


def is_asked_about(kind: str, sender: str, cls: str, settings: Settings) -> bool:
    """Say whether the bot is asked about such an event."""
    return (
        settings.stop_messages
        and cls in JUDGED
        and sender != settings.bot
        and kind not in _WORDLESS
    )


def instead(event: Mapping[str, Any], create: str) -> dict[str, Any]:
    """The event that is delivered instead of *event*: a relation that no client draws."""
    relation = {"rel_type": "m.replace", "event_id": create}
    return {**event, "content": {"m.relates_to": relation, MARKER: "stopped"}}


def may_invite(invitee: str, own: str, settings: Settings) -> bool:
    """Say whether people of this server may be in managed rooms at all."""
    server = invitee.partition(":")[2]
    return server == own or server in settings.partners
