"""The module itself: what Synapse calls, and when.

Never keeps a room waiting longer than its budget, and never decides about words: the bot does.
An event that may not be delivered is replaced by one that no client draws, which the bot's user
takes out at once: the send succeeds, nothing behind it is held up, and neither another client nor
a table of the server ever has the original.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable
from synapse.module_api import NOT_SPAM, DirectServeJsonResource, ModuleApi
from synapse.module_api.errors import Codes, SynapseError
from twisted.internet import defer

from bluelamp_gate import rules
from bluelamp_gate.asking import Asking
from bluelamp_gate.settings import Settings, read

VERSION = "0.1.0"
#: Asked by `bluelamp doctor`, as the bot.
HEALTH_PATH = "/_synapse/client/uk.police.gate"

log = logging.getLogger("bluelamp_gate")
_REASON = "Not delivered: it belongs in another room"


class Gate:
    """Asks the Blue Lamp bot before a message is delivered."""

    @staticmethod
    def parse_config(config: object) -> Settings:
        """Read the module's settings; a mistake keeps Synapse from starting."""
        return read(config)

    def __init__(self, settings: Settings, api: ModuleApi) -> None:
        """Register with Synapse."""
        self._settings, self._api = settings, api
        self._own = settings.bot.partition(":")[2]
        self._asking = Asking(settings)
        self._ask_for_rooms = f"To ask for one, speak to {settings.ask}."
        api.register_third_party_rules_callbacks(
            check_event_allowed=self.check_event_allowed,
            on_new_event=self.on_new_event,
            on_create_room=self.on_create_room,
        )
        api.register_spam_checker_callbacks(
            user_may_invite=self.user_may_invite,
        )
        api.register_web_resource(HEALTH_PATH, _Health(self._asking, settings, api))

    async def check_event_allowed(
        self, event: Any, state: rules.State
    ) -> tuple[bool, dict[str, Any] | None]:
        """Deliver an event, replace it, or refuse it."""
        room = rules.managed(state, self._settings)
        if room is None or not self._api.is_mine(event.sender):
            return True, None  # from other servers: the bot acts after delivery
        why = rules.refused(
            event.type, event.sender,
            is_state=event.is_state(), state=state, settings=self._settings,
        )  # fmt: skip
        if why is not None:
            raise SynapseError(403, why, Codes.FORBIDDEN)
        if event.is_state() or not rules.is_asked_about(
            event.type, event.sender, room.cls, self._settings
        ):
            return True, None
        answer = await self._ask(event, room)
        unread = answer is None or answer.get("do") == "unread"
        if unread and room.refuse_unanswered:
            raise SynapseError(403, "Blue Lamp does not answer; please try again.", Codes.FORBIDDEN)
        if answer is None or answer.get("do") != "stop":
            return True, None
        create = state.get(("m.room.create", ""))
        if create is None:
            return True, None
        return True, rules.instead(event.get_dict(), create.event_id)

    async def _ask(self, event: Any, room: rules.Managed) -> Any:
        said = {
            "event_id": event.event_id,
            "room_id": event.room_id,
            "sender": event.sender,
            "origin_server_ts": event.origin_server_ts,
            "type": event.type,
            "content": event.get_dict()["content"],
            "budget_ms": room.budget_ms,
        }
        started = time.monotonic()
        answer = await _aside(self._asking.ask("check", said, room.budget_ms))
        log.debug(
            "%s: %s after %.1f ms", event.event_id,
            "no answer" if answer is None else answer.get("do"),
            (time.monotonic() - started) * 1000,
        )  # fmt: skip
        return answer

    async def on_new_event(self, event: Any, state: rules.State) -> None:
        """Take out what was delivered instead of a stopped message."""
        if event.is_state() or event.content.get(rules.MARKER) != "stopped":
            return
        if rules.managed(state, self._settings) is None:
            return
        if not self._api.should_run_background_tasks():
            return  # every process of Synapse hears of every event; one of them takes it out
        redaction = {
            "type": "m.room.redaction",
            "room_id": event.room_id,
            "sender": self._settings.bot,
            "redacts": event.event_id,
            "content": {"redacts": event.event_id, "reason": _REASON},
        }
        try:
            await self._api.create_and_send_event_into_room(redaction)
        except Exception as exc:
            # Nothing of the message is in it: what is left is a line that no client draws.
            log.warning("%s could not be taken out: %s", event.event_id, type(exc).__name__)

    async def user_may_invite(self, inviter: str, invitee: str, room_id: str) -> Any:
        """Let into managed rooms only whom the register allows."""
        if not self._settings.guard_invitations or inviter == self._settings.bot:
            return NOT_SPAM
        state = await self._api.get_room_state(room_id, [(rules.CLASS_TYPE, "")])
        room = rules.managed(state, self._settings)
        if room is None:
            return NOT_SPAM
        if not rules.may_invite(invitee, self._own, self._settings):
            return Codes.FORBIDDEN
        said = {"room_id": room_id, "inviter": inviter, "invitee": invitee}
        answer = await _aside(self._asking.ask("invite", said, room.budget_ms))
        # Without an answer our own people may be asked in: the bot looks at who is there anyway.
        if answer is not None and answer.get("do") == "stop":
            return Codes.FORBIDDEN
        return NOT_SPAM

    async def on_create_room(self, requester: Any, config: dict[str, Any], is_admin: bool) -> None:
        """Make rooms by template only, and give those of a managed class what they need at once."""
        user = requester.user.to_string()
        content = config.get("creation_content")
        cls = content.get(rules.CLASS_TYPE) if isinstance(content, dict) else None
        if user == self._settings.bot or is_admin:
            return
        if cls is not None:
            if cls not in rules.CLASSES:
                known = ", ".join(rules.CLASSES)
                raise SynapseError(
                    403, f"There are rooms of the classes {known}. {self._ask_for_rooms}",
                    Codes.FORBIDDEN,
                )  # fmt: skip
            rules.template(config, cls, self._settings)
            log.info("a room of class %s is made with the bot as a creator", cls)
            return
        if self._settings.rooms_by_template and not _is_direct(config):
            raise SynapseError(
                403, f"Rooms are made by the force. {self._ask_for_rooms}", Codes.FORBIDDEN
            )


async def _aside(asked: Any) -> Any:
    """Wait for what knows nothing of Synapse's log contexts."""
    with PreserveLoggingContext():
        deferred = defer.ensureDeferred(asked)
    return await make_deferred_yieldable(deferred)


def _is_direct(config: dict[str, Any]) -> bool:
    invited = config.get("invite")
    return bool(config.get("is_direct")) and isinstance(invited, list) and len(invited) == 1


class _Health(DirectServeJsonResource):
    """Tells the bot, and nobody else, that the module is here and whether the bot answers it."""

    def __init__(self, asking: Asking, settings: Settings, api: ModuleApi) -> None:
        super().__init__()
        self._asking, self._settings, self._api = asking, settings, api

    async def _async_render_GET(self, request: Any) -> tuple[int, dict[str, Any]]:
        requester = await self._api.get_user_by_req(request)
        if requester.user.to_string() != self._settings.bot:
            raise SynapseError(403, "Only the bot may ask this.", Codes.FORBIDDEN)
        started = time.monotonic()
        answer = await _aside(self._asking.ask("ping", {}, 2_000))
        return 200, {
            "version": VERSION,
            "stops_messages": self._settings.stop_messages,
            "bot_answers": answer is not None,
            "ms": round((time.monotonic() - started) * 1000, 1),
        }
