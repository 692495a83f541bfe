"""Single values of config.yaml that take more than a line to read.

Never reads a file, and never guesses: a value that is not understood has its line named.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.model import RoomClass
from bridge.nodes import Node

#: Who makes policy files active: whoever may write to the folder, or two policy officers.
_ACTIVATIONS = ("folder", "two-people")


def zone(node: Node | None) -> ZoneInfo:
    """Read the time zone in which officers read times."""
    name = node.text() if node else "Europe/London"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if node is None:
            return ZoneInfo("UTC")
        node.fail(f"{name!r} is not a time zone such as Europe/London")


def policy_files(node: Node | None) -> dict[str, Node]:
    """Read where the policies are: a folder, or a folder and who makes what is in it active."""
    if node is None:
        return {}
    if not node.is_mapping():
        return {"folder": node}
    got = node.mapping(required=("folder",), optional=("activation",))
    if "activation" in got and got["activation"].choice(_ACTIVATIONS) == "folder":
        del got["activation"]
    return got


def rehearses(node: Node | None) -> bool:
    """Read whether nothing is done anywhere."""
    return node is not None and not node.is_list() and node.boolean()


def rehearsed(node: Node | None) -> frozenset[RoomClass]:
    """Read in which classes of rooms nothing is done, where that is not all or none."""
    found = node.list() if node is not None and node.is_list() else ()
    return frozenset(item.member(RoomClass) for item in found)


def locks(server: Mapping[str, Node]) -> bool:
    """Read whether the accounts of leavers are locked, which takes an administrator's token."""
    if "lock_leavers" not in server or not server["lock_leavers"].boolean():
        return False
    if "admin_token_file" not in server:
        server["lock_leavers"].fail("to lock accounts the bot needs an admin_token_file as well")
    return True


def hour(node: Node | None, default: int) -> int:
    """Read an hour of the day."""
    return node.integer(least=0, most=23) if node else default


def hours(node: Node | None, default: int) -> int:
    """Read a number of hours, up to a week."""
    return node.integer(least=1, most=168) if node else default
