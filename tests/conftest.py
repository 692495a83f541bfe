"""One real Synapse for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.demo.homeserver import Homeserver


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    """A running Synapse, without limits, shared by everything."""
    with Homeserver(tmp_path_factory.mktemp("homeserver")) as server:
        yield server
