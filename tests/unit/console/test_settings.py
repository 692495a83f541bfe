"""console.yaml: the example has every key and no other; mistakes are told with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.console import settings as module
from bridge.console.settings import Settings, load_settings
from bridge.errors import ConfigError
from tests.unit.console.world import TOP, World

EXAMPLE = (TOP / "console.example.yaml").read_text(encoding="utf-8")


def load(world: World, folder: Path, text: str) -> Settings:
    path = folder / "console.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, world.config)


def test_the_example_is_what_holds_without_a_file(world: World, tmp_path: Path) -> None:
    given = load(world, tmp_path, EXAMPLE)
    bare = load_settings(tmp_path / "console.yaml", world.config)
    assert given == bare
    assert given.purposes == module.PURPOSES


def test_the_example_mentions_every_key_and_no_other() -> None:
    mentioned = set(re.findall(r"^[# ]*([a-z_]+): ", EXAMPLE, re.MULTILINE))
    mentioned |= set(re.findall(r"^[# ]*([a-z_]+):$", EXAMPLE, re.MULTILINE))
    source = Path(module.__file__).read_text(encoding="utf-8")
    known = set(re.findall(r'"([a-z_]+)"', source))
    assert {"listen", "vaults", "purposes", "restricted", "idle_minutes"} <= mentioned & known
    assert mentioned - known == {"psd", "records", "reviewers"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listne: 127.0.0.1:1", "listne"),
        ("listen: 0.0.0.0:8790", "is not this machine alone"),
        ("listen: nowhere", "not a place to listen"),
        ("url: http://console.force.example", "over https"),
        ("url: https://console.force.example/path", "not an address"),
        ("certificate: x.pem", "both a certificate and its key"),
        ("restricted: [Something else]", "not one of the purposes"),
        ("session: {idle_minutes: 0}", "is not between 1 and 240"),
    ],
)
def test_a_mistake_is_told(world: World, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(world, tmp_path, f"{text}\n")
    assert said in str(refused.value)


def test_without_styles_the_console_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.console import server  # noqa: PLC0415 - its folder is another here

    monkeypatch.setattr(server, "STATIC", tmp_path)
    with pytest.raises(ConfigError, match="make console-assets"):
        server.assets()
