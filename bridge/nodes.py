"""Strict reading of YAML: every complaint has a file and a line.

Never reads a file itself, and never builds PyYAML's values: those have lost their line numbers,
have kept only the last of two equal keys, and have made `no` False and 12:30 the number 750.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator
from enum import Enum
from typing import NoReturn, TypeVar

import yaml

from bridge.errors import ConfigError

E = TypeVar("E", bound=Enum)
T = TypeVar("T")

_DEEPEST = 12
#: libyaml reads ten times faster; a build of PyYAML may lack it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}


class Node:
    """One value of a YAML file, which knows where it stands."""

    __slots__ = ("_error", "_node", "source")

    def __init__(self, node: yaml.Node, source: str, error: type[ConfigError]) -> None:
        """Wrap a composed *node* of the file *source*; complaints are raised as *error*."""
        self._node, self.source, self._error = node, source, error

    @property
    def line(self) -> int:
        """The line that this value starts on, from 1."""
        return int(self._node.start_mark.line) + 1

    def fail(self, problem: str) -> NoReturn:
        """Raise the error: *problem*, with this value's file and line."""
        raise self._error(self.source, self.line, problem)

    def mapping(
        self, *, required: Collection[str] = (), optional: Collection[str] = ()
    ) -> dict[str, Node]:
        """Read a mapping whose keys are exactly these; anything else is an error."""
        got = dict(self.items())
        known = {*required, *optional}
        for name, value in got.items():
            if name not in known:
                value.fail(f"unknown key {name!r}; it may be one of: {', '.join(sorted(known))}")
        for name in required:
            if name not in got:
                self.fail(f"the key {name!r} is missing")
        return got

    def items(self) -> Iterator[tuple[str, Node]]:
        """Read a mapping with keys of any name, each once."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fail("expected a mapping of keys to values")
        seen: set[str] = set()
        for key, value in self._node.value:
            name = self._wrap(key).text()
            if name in seen:
                self._wrap(key).fail(f"the key {name!r} is given twice")
            seen.add(name)
            # A key's line is the better place to point at when its value is wrong.
            yield name, self._wrap(value)

    def list(self, *, empty: bool = False) -> list[Node]:
        """Read a list; one with nothing in it is an error unless *empty* says otherwise."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.fail("expected a list")
        if not self._node.value and not empty:
            self.fail("the list is empty")
        return [self._wrap(item) for item in self._node.value]

    def texts(self, *, empty: bool = False) -> tuple[str, ...]:
        """Read a list of texts."""
        return tuple(item.text() for item in self.list(empty=empty))

    def text(self) -> str:
        """Read a text that is not empty."""
        if not isinstance(self._node, yaml.ScalarNode) or not str(self._node.value).strip():
            self.fail("expected some text")
        return str(self._node.value)

    def choice(self, choices: Collection[str]) -> str:
        """Read one of *choices*."""
        text = self.text()
        if text not in choices:
            self.fail(f"{text!r} is not one of: {', '.join(choices)}")
        return text

    def member(self, kind: type[E]) -> E:
        """Read a member of an enumeration by its value."""
        return kind(self.choice([str(member.value) for member in kind]))

    def integer(self, *, least: int, most: int) -> int:
        """Read a whole number within bounds."""
        text = self.text()
        try:
            number = int(text)
        except ValueError:
            self.fail(f"{text!r} is not a whole number")
        if not least <= number <= most:
            self.fail(f"{number} is not between {least} and {most}")
        return number

    def probability(self) -> float:
        """Read a probability: a number above 0 and below 1."""
        text = self.text()
        try:
            number = float(text)
        except ValueError:
            self.fail(f"{text!r} is not a number such as 0.75")
        if not 0 < number < 1:
            self.fail(f"{text} is not a probability: above 0 and below 1")
        return number

    def boolean(self) -> bool:
        """Read true or false (also yes, no, on and off)."""
        text = self.text().lower()
        if text not in _TRUE | _FALSE:
            self.fail(f"{text!r} is neither true nor false")
        return text in _TRUE

    def date(self) -> datetime.date:
        """Read a day such as 2026-11-22."""
        text = self.text()
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is not a date such as 2026-11-22")

    def read(self, make: Callable[[str], T]) -> T:
        """Read a text and hand it to *make*, whose ValueError becomes this place's complaint."""
        try:
            return make(self.text())
        except ValueError as exc:
            self.fail(str(exc))

    def is_mapping(self) -> bool:
        """Say whether this is a mapping, for formats that allow a short spelling."""
        return isinstance(self._node, yaml.MappingNode)

    def is_list(self) -> bool:
        """Say whether this is a list, for formats that allow a short spelling."""
        return isinstance(self._node, yaml.SequenceNode)

    def _wrap(self, node: yaml.Node) -> Node:
        return Node(node, self.source, self._error)


def parse(text: str, source: str, *, error: type[ConfigError] = ConfigError) -> Node:
    """Read the one document of *text*; *source* is its name in complaints.

    Raises:
        ConfigError (or *error*): it is not YAML, is empty, or uses anchors or deep nesting.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise error(source, line, f"this is not YAML: {exc.problem or exc.context}") from None
    except yaml.YAMLError as exc:
        raise error(source, 1, f"this is not YAML: {exc}") from None
    except RecursionError:
        raise error(source, 1, "this is nested too deeply") from None
    if root is None:
        raise error(source, 1, "the file is empty")
    _refuse_aliases(root, source, error)
    return Node(root, source, error)


def _refuse_aliases(root: yaml.Node, source: str, error: type[ConfigError]) -> None:
    """An alias makes one node stand in two places; a billion laughs are made of them."""
    seen: set[int] = set()
    todo = [(root, 0)]
    while todo:
        node, depth = todo.pop()
        line = node.start_mark.line + 1
        if id(node) in seen:
            raise error(source, line, "anchors and aliases (& and *) are not allowed here")
        if depth > _DEEPEST:
            raise error(source, line, f"this is nested more than {_DEEPEST} levels deep")
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += [(item, depth + 1) for item in node.value]
        elif isinstance(node, yaml.MappingNode):
            todo += [(item, depth + 1) for pair in node.value for item in pair]
