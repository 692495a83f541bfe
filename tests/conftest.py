"""One real Synapse for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from bridge.demo.homeserver import Homeserver

# The same inputs in every run, and as much time for each as a busy machine takes: what is right
# does not fail by chance. `--hypothesis-profile=chance` draws others.
for _profile, _alike in (("alike", True), ("chance", False)):
    settings.register_profile(
        _profile, deadline=None, derandomize=_alike,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
settings.load_profile("alike")


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


#: Their stories follow one another in one force, on one homeserver.
_TOGETHER = frozenset({"acceptance", "browser", "foreign", "gate", "homeserver", "rooms"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, where tests run side by side, what shares what is slow to set up."""
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        group = place.parts[0] if place.parts[0] in _TOGETHER else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
