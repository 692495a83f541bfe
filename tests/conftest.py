"""One real Synapse for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from bridge.demo.homeserver import Homeserver


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Undo what a command did to the log of this process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    """A running Synapse, without limits, shared by everything."""
    with Homeserver(tmp_path_factory.mktemp("homeserver")) as server:
        yield server
