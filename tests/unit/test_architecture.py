"""Holds the shape of the house that ARCHITECTURE.md draws: who may know whom, and who stays pure.

Nothing here weakens a rule. What breaks one today stands in a list of known exceptions, and a
test fails as soon as an entry of such a list is no longer needed.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import bridge

PACKAGE = Path(bridge.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Who may know whom, innermost first: a part may know parts of earlier lines, and only those that
#: stand on its own line here. Nothing is allowed that is not used.
KNOWS = {
    # the words of the house
    "verify": "",
    "errors": "verify",
    "occasions": "",
    "model": "occasions",
    "oversight": "model",
    "telling": "model",
    "facts": "model oversight telling",
    "log": "",
    "bounded": "",
    "nodes": "errors",
    "secret": "errors",
    # what is said, what is allowed, what is remembered, who is who
    "detect": "",
    "understand": "errors model detect",
    "policy": "errors model nodes detect",
    "ledger": "verify errors model facts",
    "register": "errors model nodes",
    # what the inside asks of the outside
    "ports": "model facts",
    # the rooms themselves
    "premises": "model",
    "belonging": "model",
    "guard": "model premises",
    "badges": "model",
    "board": "model facts",
    # the way of one message
    "moving": "model detect ports",
    "restoring": "model moving",
    "hours": "model",
    "texts": "model policy ports moving hours",
    "hanging": "model ports texts",
    "cards": "model board",
    "owing": "model",
    "runs": "model policy",
    "members": "model policy ports",
    "bench": "model facts register hours members",
    "appeals": "model facts detect policy register hours",
    "alongside": "model facts ports runs appeals",
    "commands": "model detect",
    "appealdesk": "model facts ledger register ports hours bench appeals alongside commands",
    "brake": "model facts ports",
    "answers": "model policy ports texts commands brake",
    "frontdesk": "model facts policy ledger register ports commands brake answers appealdesk",
    "amending": "model facts ports",
    "recall": "model facts ports understand",
    "closure": "model detect",
    "remains": "model",
    "following": "model facts detect ports closure",
    "recalling": "model ports members recall following",
    "strange": "model facts ports owing",
    "judging": "model facts detect policy ledger ports runs recall understand amending appeals "
    "following",
    "choosing": "model facts ports owing members appeals appealdesk",
    "pipeline": "model facts policy ports owing runs members recall understand amending "
    "appealdesk brake frontdesk strange judging choosing recalling",
    "repeats": "model",
    "gatehouse": "model pipeline repeats",
    "door": "nodes",
    "looking": "model facts detect ports",
    "removal": "errors model policy ports closure remains brake",
    "enforce": "errors model detect ports moving removal texts restoring",
    "settle": "model facts ports enforce appeals closure removal brake choosing",
    "reviews": "model register",
    "fading": "model",
    "unfinished": "model fading",
    "slate": "model unfinished",
    "expiring": "errors model facts ledger ports brake remains fading unfinished",
    "fights": "guard",
    "upkeep": "errors model facts ledger ports premises belonging guard",
    "rereading": "facts ports pipeline understand",
    "duties": "verify errors model facts ledger ports pipeline enforce settle "
    "hours appeals appealdesk alongside bench brake upkeep reviews expiring texts hanging board "
    "cards",
    "understood": "errors policy understand",
    "control": "errors facts",
    # which policy decides, and who may order what
    "shelf": "errors detect policy",
    "live": "errors model facts detect policy ports shelf",
    "roster": "errors model facts register ports",
    "estate": "errors model facts register ports",
    "policydesk": "errors model facts policy register control shelf live",
    "orders": "errors model facts control ports settle duties policydesk commands brake upkeep",
    # the outside; each knows nothing of the other, nor of the way
    "matrix": "badges errors model secret bounded register ports premises belonging remains fading "
    "door",
    "store": "verify errors model facts ledger ports",
    "coverage": "errors model matrix",
    # another host, which is a stranger to rooms and store
    "witness": "verify errors secret bounded",
    # putting it together
    "parties": "verify nodes",
    "answering": "nodes hours",
    "settings": "model nodes",
    "directory": "nodes",
    "lockfile": "errors register",
    "config": "answering directory door errors hours ledger lockfile model nodes parties policy "
    "register secret settings shelf store understand verify",
    "reception": "errors model policy ledger register ports brake answers appealdesk frontdesk "
    "enforce duties config",
    "labels": "facts register store config",
    "hearing": "facts model ports duties roster store config appealdesk bench",
    "drafts": "errors model policy register ports shelf live roster policydesk store config",
    "trial": "verify model matrix policy understand understood config",
    "housing": "roster ledger matrix model policy register texts config cards",
    "stopping": "",
    "parts": "config drafts estate model policy reception register store",
    "ldap": "errors secret directory",
    "fetched": "errors model belonging register directory config",
    "caretaking": "errors config estate fights premises model matrix policy register ports duties "
    "roster upkeep housing pipeline parts ldap fetched reception enforce reviews store expiring "
    "ledger remains labels lockfile slate",
    "noticeboard": "model matrix policy register ports pipeline duties upkeep hanging board cards "
    "housing parts store",
    "serving": "noticeboard caretaking config control drafts duties enforce facts gatehouse "
    "hearing looking matrix model orders parts pipeline ports reception removal rereading settle "
    "stopping store texts understand understood",
    "app": "config coverage drafts duties errors housing labels lockfile matrix model parts policy "
    "premises serving store witness",
    "doctor": "errors model control matrix config drafts parts",
    "records": "verify errors model facts secret policy ledger register ports store config labels "
    "board",
    "console": "verify errors model facts nodes secret bounded control policy ledger register "
    "ports shelf store config records board bench",
    "demo": "verify errors model secret control ledger matrix witness config stopping app records "
    "board store",
    "cli": "verify errors model facts log nodes secret control orders detect policy ledger "
    "register matrix store coverage witness config drafts app records console demo stopping "
    "understand understood commands bench doctor ldap fetched trial policydesk labels "
    "board",
    "__main__": "cli",
}
#: Folders that only group parts, each of which has its own place.
GROUPS = {"way", "acting", "officers", "rooms", "running"}
PLACE = {part: place for place, part in enumerate(KNOWS)}

#: (who, whom): imports against the order. This list may only shrink.
KNOWN_BACKWARD: set[tuple[str, str]] = set()
#: Modules that are longer than they may be. This list may only shrink.
KNOWN_LONG: set[str] = set()

#: These have no clock, file, socket, log or chance of their own, and do not wait.
PURE = {
    "verify",
    "errors",
    "occasions",
    "model",
    "oversight",
    "telling",
    "facts",
    "nodes",
    "detect",
    "policy",
    "ledger",
    "register",
    "ports",
    "hours",
    "premises",
    "belonging",
    "guard",
    "badges",
    "board",
    "cards",
    "reviews",
    "bench",
    "appeals",
    "amending",
    "restoring",
}
IMPURE = {
    "aiohttp", "asyncio", "fcntl", "glob", "http", "logging", "nio", "os", "pathlib", "random",
    "requests", "select", "shutil", "signal", "socket", "sqlite3", "structlog", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib",
}  # fmt: skip
IMPURE_CALLS = {"breakpoint", "eval", "exec", "input", "open", "print"}
#: Ways to ask what time or day it is.
CLOCKS = {"now", "today", "utcnow"}
#: Randomness is a matter of making keys and names of records, and of nothing else pure.
MAKES_KEYS = {"ledger"}

#: Where a library is at home; its errors and types go no further.
HOMES = {
    "aiohttp": {"console", "matrix", "witness"},
    "argon2": {"console"},
    "cryptography": {"verify", "ledger", "matrix", "store", "witness", "config"},
    "google": set[str](),
    "jinja2": {"console"},
    "joserfc": {"console"},
    "ldap3": {"ldap"},
    "nio": {"matrix"},
    "pyotp": {"console"},
    "nh3": {"moving"},
    "numpy": {"understand"},
    "onnxruntime": {"understand"},
    "re2": {"detect"},
    "rich": {"cli"},
    "segno": {"console"},
    "sqlite3": {"store"},
    "structlog": {
        "app",
        "appealdesk",
        "console",
        "duties",
        "enforce",
        "estate",
        "expiring",
        "fights",
        "frontdesk",
        "gatehouse",
        "live",
        "log",
        "looking",
        "matrix",
        "owing",
        "roster",
        "serving",
        "settle",
        "strange",
        "upkeep",
        "understand",
        "witness",
    },
    "tokenizers": {"understand"},
    "typer": {"cli"},
    "vodozemac": {"matrix"},
    "yaml": {"demo", "nodes", "register"},
}
#: Who may do something to a room: the enforcer about messages, upkeep about the room itself, and
#: the transport that carries it out.
ACTS = {
    "send", "redact", "take_out", "unpin", "drop_file", "put_right", "lock_down", "lift_lock",
    "end_sessions", "close_down", "delete_room", "lock_account", "pin",
}  # fmt: skip
MAY_ACT = {"enforce", "removal", "upkeep", "expiring", "hanging", "matrix", "demo"}

LONGEST = 420
DRAWERS = {"base", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part(path: Path) -> str:
    return _part(path.relative_to(PACKAGE).with_suffix("").parts)


def _part(names: Sequence[str]) -> str:
    """The part that a dotted name is of: a folder, or a module of one that only groups."""
    grouped = names[0] in GROUPS and len(names) > 1 and names[1] != "__init__"
    return names[1] if grouped else names[0]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def imported(path: Path) -> set[str]:
    """Every module that *path* imports, dotted; also inside functions and for types only."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def others(path: Path) -> set[str]:
    """The other parts of the house that *path* imports."""
    dotted = (name for name in imported(path) if name.startswith("bridge."))
    ours = {_part(name.split(".")[1:]) for name in dotted}
    return ours & KNOWS.keys() - {part(path)}


def libraries(path: Path) -> set[str]:
    return {dotted.split(".")[0] for dotted in imported(path)}


def parts(known: set[str]) -> list[Path]:
    return [path for path in MODULES if part(path) in known]


def of_each(
    paths: Sequence[Path],
) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Hold every one of *paths* to a check, and name all that do not keep it."""

    def made(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            wrong: dict[str, str] = {}
            for path in paths:
                try:
                    check(path)
                except AssertionError as exc:
                    wrong[name(path)] = str(exc)
            assert not wrong

        test.__name__ = check.__name__
        return test

    return made


EACH = of_each(MODULES)
EACH_PURE = of_each(parts(PURE))


def test_every_part_of_the_house_has_its_place() -> None:
    assert {part(path) for path in MODULES} - {"__init__", *GROUPS} == set(KNOWS)


def test_the_house_is_drawn_from_the_inside_out() -> None:
    backward = {
        (who, whom)
        for who, known in KNOWS.items()
        for whom in known.split()
        if PLACE[whom] >= PLACE[who]
    }
    assert backward == KNOWN_BACKWARD


@EACH
def test_a_module_knows_only_whom_its_part_may_know(path: Path) -> None:
    assert others(path) <= set(KNOWS.get(part(path), "").split())


def test_nobody_may_know_more_than_they_do() -> None:
    known: dict[str, set[str]] = {}
    for path in MODULES:
        known.setdefault(part(path), set()).update(others(path))
    assert {who: more for who in KNOWS if (more := set(KNOWS[who].split()) - known[who])} == {}


@EACH_PURE
def test_the_pure_parts_import_no_clock_file_socket_or_log(path: Path) -> None:
    assert not libraries(path) & IMPURE


@EACH_PURE
def test_the_pure_parts_call_no_clock_file_or_screen(path: Path) -> None:
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    named = {func.id for func in calls if isinstance(func, ast.Name)}
    asked = {func.attr for func in calls if isinstance(func, ast.Attribute)}
    assert not named & IMPURE_CALLS
    assert not asked & CLOCKS


@EACH_PURE
def test_only_keys_are_made_by_chance(path: Path) -> None:
    assert "secrets" not in libraries(path) or part(path) in MAKES_KEYS


@EACH_PURE
def test_nothing_pure_waits(path: Path) -> None:
    if part(path) in {"ports", "premises"}:
        return  # a promise may be asynchronous; keeping it is somebody else's work
    assert not [node for node in ast.walk(tree(path)) if isinstance(node, ast.AsyncFunctionDef)]


@EACH
def test_each_library_stays_at_home(path: Path) -> None:
    for library in libraries(path) & HOMES.keys():
        assert part(path) in HOMES[library], f"{library} is not at home in {name(path)}"


@EACH
def test_only_the_enforcer_acts_on_the_world(path: Path) -> None:
    done = {
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert part(path) in MAY_ACT or not done & ACTS


@EACH
def test_only_the_command_line_speaks_to_the_screen(path: Path) -> None:
    named = {
        node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert part(path) in {"cli", "demo"} or "print" not in named


@EACH
def test_a_module_is_short_enough_to_be_read(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert (lines > LONGEST) == (name(path) in KNOWN_LONG), f"{lines} lines"


@EACH
def test_no_module_is_a_drawer(path: Path) -> None:
    assert path.stem not in DRAWERS


@EACH
def test_every_module_says_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(tree(path))
    assert said
    assert said.splitlines()[0].strip().endswith((".", ":"))


@EACH
def test_modules_of_any_size_say_what_they_never_do(path: Path) -> None:
    if part(path) in {"__init__", "__main__", "cli"}:
        return  # a verb's help says what it does; cli/__init__.py speaks for all of them
    said = ast.get_docstring(tree(path)) or ""
    assert "Never" in said or "never" in said or path.name == "errors.py"
