"""What we say, in the form that Matrix gives a message.

Never writes a word of its own.
"""

from __future__ import annotations

from typing import Any

from bridge.ports import Post


def content(post: Post) -> dict[str, Any]:
    """Put *post* into the content of an `m.room.message`."""
    said: dict[str, Any] = {
        "msgtype": "m.text" if post.sounds else "m.notice",
        "body": post.body,
        "m.mentions": {"user_ids": list(post.mentions)} if post.mentions else {},
        **post.extra,
    }
    if post.formatted:
        said |= {"format": "org.matrix.custom.html", "formatted_body": post.formatted}
    if post.reply_to is not None:
        said["m.relates_to"] = {"m.in_reply_to": {"event_id": post.reply_to}}
    return said
