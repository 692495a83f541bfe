"""Holds what is written for people to what is built: documents, examples, texts, containers."""

from __future__ import annotations

import ast
import ipaddress
import json
import re
import shlex
import shutil
import socket
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
import yaml

from bridge import __version__
from bridge import config as configuration
from bridge.cli.main import cli
from bridge.config import load_config, load_policies
from bridge.console.settings import load_settings
from bridge.errors import ConfigError
from bridge.ledger.keys import Custodian
from bridge.model import Moment, Queue, RoomClass
from bridge.rooms import directory
from bridge.running import answering, app, door, parties, settings
from bridge.verify.notes import encode64

TOP = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *TOP.glob("*.md"),
        *(TOP / "docs").glob("*.md"),
        TOP / "deploy" / "README.md",
        TOP / "policies" / "README.md",
    ]
)
#: Everything that somebody reads or starts, and that could give away where it was written.
SHOWN = sorted(
    [
        *DOCUMENTS,
        *TOP.glob("*.example.*"),
        TOP / "docker-compose.yml",
        TOP / "docs" / "demo.svg",
        *(path for path in (TOP / "deploy").rglob("*") if path.is_file()),
    ]
)
COMMANDS = (TOP / "docs" / "commands.md").read_text(encoding="utf-8")
EXAMPLE = (TOP / "config.example.yaml").read_text(encoding="utf-8")
COMPOSE = (TOP / "docker-compose.yml").read_text(encoding="utf-8")
UNFILLED = "what-keys-init-printed"
#: Options that every command has, described once.
EVERYWHERE = {"--config", "-c", "--help", "--version"}
#: Words that accuse. Judgements are for people.
ACCUSING = re.compile(r"\b(breach|violat|misconduct|offend|upheld|guilty)", re.IGNORECASE)
NOT_A_FINDING = "not a conduct finding"


def short(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# Documents


@pytest.mark.parametrize("path", SHOWN, ids=short)
def test_nothing_shown_says_where_it_was_written(path: Path) -> None:
    text = read(path)
    assert not re.findall(r"(?<![\w.])(?:/work|/root|/home|/Users)/", text)
    # A folder such as /app and a name that is a word, such as localhost, are anybody's.
    assert len(TOP.parts) < 3 or str(TOP) not in text
    host = socket.gethostname()
    assert len(host) < 6 or not any(map(str.isdigit, host)) or host not in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_links_within_the_house_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", read(path))
    inside = [link.split("#")[0] for link in links if "://" not in link and link[0] != "#"]
    missing = [link for link in inside if not (path.parent / link).exists()]
    assert not missing


def test_the_picture_fetches_nothing() -> None:
    picture = read(TOP / "docs" / "demo.svg")
    outside = re.findall(r"(?:https?:)?//[^\s\"'<)]+", picture)
    assert set(outside) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"@font-face|@import|<script|<image|<foreignObject|url\((?!#)", picture)


def test_the_picture_is_of_a_run_in_which_every_check_held() -> None:
    words = re.sub(r"<[^>]+>", "", read(TOP / "docs" / "demo.svg")).replace("&#160;", " ")
    assert "Every check holds" in words
    assert "WRONG" not in words


def test_the_readme_names_both_commands_and_the_makefile_has_them() -> None:
    readme, makefile = read(TOP / "README.md"), read(TOP / "Makefile")
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(TOP / "Makefile"), re.MULTILINE))
    for path in DOCUMENTS:
        # At the start of a line of a listing, or between backquotes.
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", read(path), re.MULTILINE))
        assert named <= targets, short(path)


# The configuration


def known_keys() -> set[str]:
    """Every key that config.py and its like read, as their source names them."""
    calls = [
        node
        for module in (configuration, parties, answering, directory, door, settings)
        for node in ast.walk(ast.parse(read(Path(str(module.__file__)))))
        if isinstance(node, ast.Call)
    ]
    asked: list[ast.expr] = []
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "mapping":
            asked += [keyword.value for keyword in call.keywords]
        elif isinstance(call.func, ast.Name) and call.func.id == "_optional":
            asked += call.args[1:]
    return {
        node.value
        for value in asked
        for node in ast.walk(value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_example_mentions_every_key_and_no_other() -> None:
    mentioned = set(re.findall(r"^[ #-]*([a-z_]+):(?:\s|$)", EXAMPLE, re.MULTILINE))
    assert len(known_keys()) > 20
    assert mentioned == known_keys()


def test_every_default_that_the_example_names_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "full.yaml").write_text(filled("psd", encode64(b"i" * 32)), encoding="utf-8")
    bare = re.sub(r"^.*# default.*\n", "", filled("psd", encode64(b"i" * 32)), flags=re.MULTILINE)
    bare = re.sub(r"^(?:ledger|brake|files|appeals):\n", "", bare, flags=re.MULTILINE)
    (tmp_path / "bare.yaml").write_text(bare, encoding="utf-8")
    full, least = load_config(tmp_path / "full.yaml"), load_config(tmp_path / "bare.yaml")
    names = [name for name in full.__dataclass_fields__ if name != "path"]
    assert {n: getattr(full, n) for n in names} == {n: getattr(least, n) for n in names}


def filled(name: str, identity: str) -> str:
    assert f"- name: {name}" in EXAMPLE
    return EXAMPLE.replace(f"identity: {UNFILLED}    #", f"identity: {identity}    #")


@pytest.fixture
def force(tmp_path: Path) -> Path:
    """A force that has copied the examples and made a custodian."""
    shutil.copytree(TOP / "policies", tmp_path / "policies")
    for name in ("rooms.yaml", "people.csv"):
        shutil.copy(TOP / name.replace(".", ".example."), tmp_path / name)
    custodian, today = Custodian.new("psd"), datetime.now(UTC)
    retention = load_policies(tmp_path / "policies", clock=None).retention
    custodian.issue_ahead(retention, year=today.year, month=today.month, months=2)
    (tmp_path / "psd.certificates.json").write_bytes(msgspec.json.encode(custodian.bundle()))
    text = filled("psd", encode64(custodian.public))
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_examples_load_together(force: Path) -> None:
    parts = app.check(load_config(force / "config.yaml"))
    assert parts.register.rooms
    assert parts.people.persons
    assert parts.policy.rules


def test_the_example_is_refused_until_its_custodian_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path / "config.yaml")
    assert refused.value.line == EXAMPLE[: EXAMPLE.index(UNFILLED)].count("\n") + 1


# The commands


def commands(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    """Every command of the command line, with its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), command


ALL = dict(commands(typer.main.get_command(cli)))


def section(name: str) -> str:
    found = re.search(
        rf"^## bluelamp {re.escape(name)}\n(.*?)(?=^## |\Z)", COMMANDS, re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/commands.md has no section '## bluelamp {name}'"
    return found[1]


def options(command: Any) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")
    }


def test_there_are_commands() -> None:
    assert {"run", "check", "demo", "ledger verify"} <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_its_section_with_every_option_and_no_other(name: str) -> None:
    described = set(re.findall(r"(?<![\w-])(?:--[a-z][a-z-]*|-[a-z])(?![\w-])", section(name)))
    built = options(ALL[name])
    assert built - EVERYWHERE <= described
    others = {option for command in ALL.values() for option in options(command)}
    table = set(re.findall(r"^\| `(--[a-z-]+)", section(name), re.MULTILINE))
    assert table <= built
    assert described <= built | others | EVERYWHERE


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_each_of_its_options_is(name: str) -> None:
    assert ALL[name].help
    assert all(p.help for p in ALL[name].params if p.param_type_name == "option")


def test_no_section_describes_a_command_that_is_not_there() -> None:
    assert set(re.findall(r"^## bluelamp (.+)$", COMMANDS, re.MULTILINE)) == ALL.keys()


def test_every_option_that_belongs_to_all_commands_is_described_once() -> None:
    head = COMMANDS[: COMMANDS.index("## ")]
    assert all(option in head for option in EVERYWHERE)


@pytest.mark.parametrize("path", [*DOCUMENTS, TOP / "docker-compose.yml"], ids=short)
def test_every_command_that_a_document_tells_people_to_type_exists(path: Path) -> None:
    text = read(path).replace("\\\n", " ")
    typed = re.findall(r"(?:^|[`/ ])bluelamp (?:-c \S+ )?([a-z][^`\n]*)", text, re.MULTILINE)
    groups = {name.split()[0] for name in ALL if " " in name}
    for line in typed:
        words = line.split()
        if words[0] not in groups | ALL.keys():
            continue  # prose, such as "bluelamp is ..."
        name = " ".join(words[:2]) if words[0] in groups else words[0]
        if name.rstrip(".,:;)") in groups or "|" in line:
            continue
        assert name.rstrip(".,:;)") in ALL, line
        given = {word.split("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)}
        assert given <= options(ALL[name.rstrip(".,:;)")]) | EVERYWHERE, line


# What the bot says


def texts() -> Iterator[str]:
    """Every text in bridge/acting/texts.py that is not a docstring."""
    tree = ast.parse(read(TOP / "bridge" / "acting" / "texts.py"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in docstrings:
            yield text


def test_no_text_of_the_bots_accuses_anybody() -> None:
    said = list(texts())
    assert any(NOT_A_FINDING in text for text in said)
    for text in said:
        assert not ACCUSING.search(text), text
        assert "conduct" not in text.replace(NOT_A_FINDING, ""), text


def test_every_private_word_has_its_text_and_every_queue_its_name() -> None:
    from bridge.acting import texts as house  # noqa: PLC0415 - its tables are its own

    assert set(house._PRIVATE) == set(Moment)
    assert set(house._QUEUES) == set(Queue)


def test_no_reason_that_a_rule_gives_accuses_anybody() -> None:
    policy = load_policies(TOP / "policies", clock=None)
    assert policy.rules
    for file in sorted((TOP / "policies").rglob("*.yaml")):
        for reason in re.findall(r"^\s*reason: (.+)$", read(file), re.MULTILINE):
            assert not ACCUSING.search(reason), short(file)


def test_the_readme_tells_how_long_things_are_kept_as_the_policy_has_it() -> None:
    policy, readme = load_policies(TOP / "policies", clock=None), read(TOP / "README.md")
    social, secure = policy.classes[RoomClass.SOCIAL], policy.classes[RoomClass.OPERATIONAL]
    for row, here in (("social and community", social), ("secure (operational)", secure)):
        line = next(line for line in readme.splitlines() if line.startswith(f"| {row}"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert [days(cell) for cell in cells[1:3]] == [here.visible_days, here.kept_days]
        assert cells[3] == ", ".join(here.readers)


def days(cell: str) -> int:
    number, unit = cell.split()[:2]
    years = int(number)
    return years * 365 + years // 4 + (years > 4) if unit.startswith("year") else years


# Containers


def compose() -> dict[str, Any]:
    got = yaml.safe_load(COMPOSE)
    assert isinstance(got, dict)
    return got


def test_only_this_machine_reaches_the_containers() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_image_is_pinned_and_of_this_version() -> None:
    images = {name: one["image"] for name, one in compose()["services"].items()}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images.values())
    assert images["bot"] == f"bluelamp:{__version__}"
    assert f"synapse:v{locked('matrix-synapse').rsplit('.', 1)[0]}." in images["synapse"]


def locked(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", read(TOP / "requirements-dev.txt"), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("name", ["bot", "tools"])
def test_the_bot_can_write_only_where_it_must_and_leaves_no_core(name: str) -> None:
    bot = compose()["services"][name]
    assert bot["read_only"] is True
    assert bot["cap_drop"] == ["ALL"]
    assert bot["security_opt"] == ["no-new-privileges:true"]
    assert bot["ulimits"]["core"] == 0
    writable = {v.split(":")[1] for v in bot["volumes"] if not v.endswith(":ro")}
    lock = {"/force"} if name == "tools" else set()
    assert writable == {"/data/state", "/data/ledger", "/data/anchor"} | lock


def test_the_console_has_the_record_and_nothing_else_of_the_bots() -> None:
    whole = compose()["services"]
    bot, console = whole["bot"], whole["console"]
    assert console["image"] == bot["image"]
    assert console["command"] == ["console"]
    assert not {*bot["secrets"], *whole["synapse"]["secrets"]} & set(console["secrets"])
    volumes = {v.split(":")[0]: v.split(":")[1] for v in console["volumes"]}
    state = next(v.split(":")[0] for v in bot["volumes"] if v.split(":")[1] == "/data/state")
    assert state not in volumes
    assert "./force:/force:ro" in console["volumes"]
    assert set(volumes.values()) == {"/force", "/data/console", "/data/state", "/data/ledger",
                                     "/data/anchor"}  # fmt: skip
    assert not set(console["networks"]) & set(whole["synapse"]["networks"])
    for name in ("read_only", "cap_drop", "security_opt", "ulimits", "tmpfs"):
        assert console[name] == bot[name]


def test_the_settings_that_the_console_is_told_to_have_fit_its_container(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", read(TOP / "deploy" / "README.md"), re.DOTALL)
    (tmp_path / "console.yaml").write_text(textwrap.dedent(blocks[1]), encoding="utf-8")
    (tmp_path / "config.yaml").write_text(filled("psd", encode64(b"i" * 32)), encoding="utf-8")
    given = load_settings(None, load_config(tmp_path / "config.yaml"))
    console = compose()["services"]["console"]
    assert console["ports"] == [f"127.0.0.1:{given.port}:{given.port}"]
    assert given.host == str(ipaddress.IPv4Address(0)), "its port is published on this machine only"
    assert given.url == f"https://localhost:{given.port}"
    assert {str(given.certificate), str(given.key)} == {
        f"/run/secrets/{name}" for name in console["secrets"]
    }
    assert str(given.state) in {volume.split(":")[1] for volume in console["volumes"]}


def test_the_bot_is_asked_for_its_health() -> None:
    probe = compose()["services"]["bot"]["healthcheck"]["test"][-1]
    assert "bluelamp -c /force/config.yaml status" in probe
    assert "control.sock" in probe


def test_what_compose_names_is_there() -> None:
    whole = compose()
    for one in whole["services"].values():
        assert set(one.get("secrets", [])) <= whole["secrets"].keys()
        assert set(one.get("networks", [])) <= whole["networks"].keys()
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./deploy"):
                assert (TOP / source).exists()
            elif not source.startswith("."):
                assert source in whole["volumes"]
        if "build" in one:
            assert (TOP / one["build"]["dockerfile"]).exists()


def test_the_image_is_made_of_hashed_parts_and_runs_as_nobody_much() -> None:
    recipe = read(TOP / "deploy" / "Dockerfile")
    assert "--require-hashes" in recipe
    assert "npm ci" in recipe
    assert len(re.findall(r"^FROM ", recipe, re.MULTILINE)) == 3
    last = recipe[recipe.rindex("FROM ") :]
    assert re.search(r"^USER bluelamp$", last, re.MULTILINE)
    assert "pip" not in last
    copied = re.findall(r"^COPY (?!--from)(\S+)", recipe, re.MULTILINE)
    assert copied
    assert all((TOP / source).exists() for source in copied)
    ignored = read(TOP / "deploy" / "Dockerfile.dockerignore")
    assert all(f"!{Path(source).parts[0]}" in ignored for source in copied)
    assert "bridge/console/static" in ignored, "it is built anew, and not taken from here"


def test_what_the_container_is_started_with_is_a_command() -> None:
    recipe = read(TOP / "deploy" / "Dockerfile")
    entry = json.loads(re.findall(r"^ENTRYPOINT (.+)$", recipe, re.MULTILINE)[0])
    first = json.loads(re.findall(r"^CMD (.+)$", recipe, re.MULTILINE)[0])
    assert entry[0] == "bluelamp"
    assert " ".join(first) in ALL


def test_the_settings_for_the_container_are_settings(tmp_path: Path) -> None:
    block = re.findall(r"```yaml\n(.*?)```", read(TOP / "deploy" / "README.md"), re.DOTALL)[0]
    given = yaml.safe_load(block)
    whole = {**yaml.safe_load(filled("psd", encode64(b"i" * 32))), **given}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    config = load_config(tmp_path / "config.yaml")
    writable = compose()["services"]["bot"]["volumes"]
    folders = {volume.split(":")[1] for volume in writable}
    for path in (config.state, config.ledger.parent, config.ledger_key.parent):
        assert str(path) in folders
    assert config.password_file == Path("/run/secrets/bot_password")
    assert config.password_file.name in compose()["services"]["bot"]["secrets"]


def test_the_homeserver_knows_nobody_else_and_opens_to_nobody() -> None:
    sheet = yaml.safe_load(read(TOP / "deploy" / "synapse" / "homeserver.yaml"))
    assert sheet["enable_registration"] is False
    assert sheet["allow_guest_access"] is False
    assert sheet["federation_domain_whitelist"] == []
    assert sheet["report_stats"] is False
    assert sheet["enable_search"] is False
    secrets = set(compose()["secrets"])
    hidden = [value for key, value in sheet.items() if key.endswith(("_key_path", "_secret_path"))]
    mounted = [path for path in hidden if path.startswith("/run/secrets/")]
    assert len(mounted) == 3
    assert {path.rsplit("/", 1)[1] for path in mounted} <= secrets
    parts = [part for one in sheet["listeners"] for part in one["resources"]]
    assert [part["names"] for part in parts] == [["client"]]


def test_element_asks_this_homeserver() -> None:
    sheet = yaml.safe_load(read(TOP / "deploy" / "synapse" / "homeserver.yaml"))
    asked = json.loads(read(TOP / "deploy" / "element" / "config.json"))
    server = asked["default_server_config"]["m.homeserver"]
    assert server["server_name"] == sheet["server_name"]
    ports = compose()["services"]["synapse"]["ports"]
    assert any(server["base_url"].endswith(port.split(":")[1]) for port in ports)


def test_the_tools_are_called_as_the_guide_says() -> None:
    calls = re.findall(r"compose run --rm tools (.+)", read(TOP / "deploy" / "README.md"))
    assert calls
    for call in calls:
        words = shlex.split(call, comments=True)
        assert " ".join(words) in ALL
