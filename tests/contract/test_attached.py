"""Which event brings which file: what `ports.Store.attached` promises, asked of every store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bridge.facts import Erased, Performed, Seen
from bridge.model import (
    EventId,
    Keep,
    Kind,
    Media,
    Outcome,
    RoomClass,
    Status,
    key,
)
from bridge.ports import Attached, Store
from tests.contract.test_store import CLEAN, make
from tests.making import SOCIAL, Hands, say

__all__ = ["make"]  # the fixture
PHOTO, SMALL = "mxc://force.example/photo", "mxc://force.example/small"


def shows(event: str, *urls: str) -> Seen:
    media = tuple(
        Media(part=part, url=url) for part, url in zip(("file", "thumbnail"), urls, strict=False)
    )
    message = replace(say(event, kind=Kind.MEDIA), media=media)
    keep = tuple(Keep(room=SOCIAL, about=EventId(event), part=m.part, url=m.url) for m in media)
    return Seen(message=message, cls=RoomClass.SOCIAL, clean=CLEAN, owes=keep)


def kept(event: str, url: str, file: bytes | None = b"sealed") -> Performed:
    effect = Keep(room=SOCIAL, about=EventId(event), part="file", url=url)
    status = Status.DONE if file is not None else Status.REFUSED
    return Performed(outcome=Outcome(key=key(effect), status=status), file=file)


def attached(event: str, part: str, url: str, *, on_record: bool = False) -> Attached:
    return Attached(event=EventId(event), part=part, url=url, kept=on_record)


async def test_files_are_found_by_their_message_and_by_where_they_lie(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([shows("$a", PHOTO, SMALL), shows("$b", PHOTO), shows("$c", SMALL)])
    both = (attached("$a", "file", PHOTO), attached("$a", "thumbnail", SMALL))
    assert await store.attached([EventId("$a")]) == both
    users = (attached("$a", "file", PHOTO), attached("$b", "file", PHOTO))
    assert await store.attached((), PHOTO) == users
    assert await store.attached([EventId("$none")]) == ()
    assert await store.attached([EventId("$\0")], "mxc://x/y") == ()
    await store.close()


async def test_a_file_is_on_record_once_it_was_fetched_and_not_when_it_was_refused(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([shows("$a", PHOTO), shows("$b", SMALL)])
    await store.append([kept("$a", PHOTO), kept("$b", SMALL, None)])
    found = await store.attached([EventId("$a"), EventId("$b")])
    assert found == (
        attached("$a", "file", PHOTO, on_record=True),
        attached("$b", "file", SMALL),
    )
    await store.close()


async def test_what_was_erased_brings_no_file_any_more(
    make: Callable[[Hands], Store],
) -> None:
    store = make(Hands())
    await store.append([shows("$a", PHOTO), shows("$b", PHOTO)])
    record = (await store.known([EventId("$a")]))[EventId("$a")].rid
    await store.append([Erased(record=record, orders=b"{}")])
    await store.tidy()
    assert await store.attached((), PHOTO) == (attached("$b", "file", PHOTO),)
    await store.close()
