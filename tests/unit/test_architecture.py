"""Holds the shape of the house that ARCHITECTURE.md draws: who may know whom, and who stays pure.

Nothing here weakens a rule. What breaks one today stands in a list of known exceptions, and a
test fails as soon as an entry of such a list is no longer needed.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Who may know whom, innermost first: a part may know parts of earlier lines, and only those that
#: stand on its own line here. Nothing is allowed that is not used.
KNOWS = {
    # the words of the house
    "verify": "",
    "errors": "verify",
    "model": "",
    "facts": "model",
    "log": "",
    "nodes": "errors",
    "secret": "errors",
    # what is said, what is allowed, what is remembered, who is who
    "detect": "",
    "policy": "errors model nodes detect",
    "ledger": "verify errors model facts",
    "register": "errors model nodes",
    # what the inside asks of the outside
    "ports": "model facts",
    # the way of one message
    "texts": "model detect policy ports",
    "members": "model policy ports",
    "pipeline": "model facts policy ledger ports members",
    "enforce": "errors model ports texts",
    "settle": "model facts ports enforce",
    "duties": "verify errors model facts ledger ports pipeline enforce settle",
    "control": "errors facts",
    # which policy decides, and who may order what
    "shelf": "errors detect policy",
    "live": "errors model facts detect policy ports shelf",
    "policydesk": "errors model facts policy register control shelf live",
    "orders": "errors model facts control ports settle duties policydesk",
    # the outside; each knows nothing of the other, nor of the way
    "matrix": "errors model secret register ports",
    "store": "verify errors model facts ledger ports",
    "coverage": "errors model matrix",
    # another host, which is a stranger to rooms and store
    "witness": "verify errors secret",
    # putting it together
    "config": "verify errors model nodes secret policy ledger register shelf store",
    "drafts": "errors model policy register ports shelf live policydesk store config",
    "app": "errors model facts control orders policy register ports texts pipeline enforce settle "
    "duties matrix store coverage witness config drafts",
    "records": "verify errors model facts secret ledger register ports store config",
    "demo": "verify errors model secret control ledger matrix witness config app records",
    "cli": "verify errors model facts log nodes secret control orders detect policy ledger "
    "matrix store coverage witness config drafts app records demo",
    "__main__": "cli",
}
PLACE = {part: place for place, part in enumerate(KNOWS)}

#: (who, whom): imports against the order. This list may only shrink.
KNOWN_BACKWARD: set[tuple[str, str]] = set()
#: Modules that are longer than they may be. This list may only shrink.
KNOWN_LONG: set[str] = set()

#: These have no clock, file, socket, log or chance of their own, and do not wait.
PURE = {
    "verify",
    "errors",
    "model",
    "facts",
    "nodes",
    "detect",
    "policy",
    "ledger",
    "register",
    "ports",
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
    "aiohttp": {"matrix", "witness"},
    "cryptography": {"verify", "ledger", "matrix", "store", "witness", "config"},
    "google": set[str](),
    "nio": {"matrix"},
    "re2": {"detect"},
    "rich": {"cli"},
    "sqlite3": {"store"},
    "structlog": {
        "app",
        "duties",
        "enforce",
        "live",
        "log",
        "matrix",
        "pipeline",
        "settle",
        "witness",
    },
    "typer": {"cli"},
    "vodozemac": {"matrix"},
    "yaml": {"demo", "nodes", "register"},
}
#: Who may do something to a room: the enforcer, and the transport that carries it out.
ACTS = {"send", "redact"}
MAY_ACT = {"enforce", "matrix", "demo"}

LONGEST = 420
DRAWERS = {"base", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


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
    ours = {dotted.split(".")[1] for dotted in imported(path) if dotted.startswith("bridge.")}
    return ours & KNOWS.keys() - {part(path)}


def libraries(path: Path) -> set[str]:
    return {dotted.split(".")[0] for dotted in imported(path)}


def parts(known: set[str]) -> list[Path]:
    return [path for path in MODULES if part(path) in known]


EACH = pytest.mark.parametrize("path", MODULES, ids=name)
EACH_PURE = pytest.mark.parametrize("path", parts(PURE), ids=name)


def test_every_part_of_the_house_has_its_place() -> None:
    assert {part(path) for path in MODULES} - {"__init__"} == set(KNOWS)


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


@pytest.mark.parametrize("who", KNOWS)
def test_nobody_may_know_more_than_they_do(who: str) -> None:
    known = {whom for path in MODULES if part(path) == who for whom in others(path)}
    assert set(KNOWS[who].split()) <= known


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
    if part(path) == "ports":
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
