"""`bluelamp people fetch`: people.csv as the force's directory has it.

Never writes a list that the register of rooms could not use.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bridge.config import Config, read_bytes, read_text
from bridge.errors import ConfigError, DirectoryError
from bridge.model import UserId
from bridge.register import decode_people, load_people, load_rooms, write_people
from bridge.rooms.belonging import leavers
from bridge.rooms.directory import Source


def fetch(config: Config, source: Source, *, even_so: bool = False) -> str:
    """Write people.csv as *source* has it; say what has changed, or nothing.

    *even_so*: a person has made sure that so many have left.

    Raises:
        DirectoryError: the directory gave no whole answer, or one that lost too many.
        ConfigError: what it gave cannot be used.
    """
    text = write_people(sorted(source.read(), key=lambda row: row.get("matrix_id", "")))
    named = "the people in the directory"
    people = load_people(text, named)
    rooms = read_text(config.rooms, "the register of rooms")
    load_rooms(rooms, str(config.rooms), people, strict=False)
    before = _before(config.people)
    found = leavers(before, people.persons)
    if found.doubtful and not even_so:
        raise DirectoryError(
            f"{len(found.gone)} of {len(before)} people are no longer in the directory, which is "
            "more than a tenth; if that is so, say 'bluelamp people fetch --even-so'"
        )
    wanted = text.encode("utf-8")
    # What lies there may be in any encoding: bytes are compared.
    if config.people.exists() and read_bytes(config.people, "the list of people") == wanted:
        return ""
    fresh = config.people.with_suffix(".new")
    fresh.write_bytes(wanted)
    fresh.replace(config.people)
    come = len(set(people.persons) - set(before))
    return f"{len(people.persons)} people; {come} new, {len(found.gone)} gone"


def _before(path: Path) -> Collection[UserId]:
    """Who was listed; nobody where there is no list, or none that can be read."""
    if not path.exists():
        return ()
    try:
        text = decode_people(read_bytes(path, "the list of people"), str(path))
        return load_people(text, str(path)).persons
    except ConfigError:
        return ()
