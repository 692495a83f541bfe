"""Who was shown which card of which room, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Console, serve
from tests.unit.console.test_acknowledgements import told
from tests.unit.console.world import Story, found, shift


@pytest.fixture(scope="module")
def hung(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force with a card in one of its rooms."""
    folder = tmp_path_factory.mktemp("hung") / "force"
    yield from serve(found(folder, "psd", story=told(shift(Story()))), browser, staff=["policy"])


def test_acknowledgements_are_reached_from_anywhere_and_look_right(hung: Console) -> None:
    officer = hung.sign_in("policy").start()
    officer.follow("Acknowledgements")
    assert officer.heading() == "Acknowledgements"
    assert officer.says("2 of ")
    officer.looks_right("acknowledgements")
    officer.go("/acknowledgements")
    officer.goes_by_keyboard()
    officer.page.get_by_role("link", name="Response A social").click()
    assert officer.heading() == "Response A social: who was shown what"
    for words in ("Fine here: rotas, milk, birthdays.", "not shown", "the earlier card"):
        assert officer.says(words), words
    officer.looks_right("acknowledgement")
