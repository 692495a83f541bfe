"""`bluelamp policy` as people type it, beside a force whose bot is not running."""

from __future__ import annotations

import asyncio
import io
import pwd
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.acting.texts import card
from bridge.cli.common import signed_in, who
from bridge.cli.main import main
from bridge.config import load_config, load_policies
from bridge.demo.force import Force, found
from bridge.errors import ConfigError
from bridge.facts import Decided, Fact, Seen
from bridge.model import JUDGED, Action, EventId, RoomClass, RoomId
from bridge.records.consult import consultations
from bridge.register import Lock
from bridge.running import app, doctor, drafts
from bridge.running.lockfile import add_ids
from bridge.running.shelf import Shelf, read_files
from bridge.store.reader import SqliteReader
from bridge.store.sqlite import SqliteStore
from tests.making import say

OFFICERS = (
    "@anna:force.example,Anna Kelly,1001,,Insp,,anna,policy-officer\n"
    "@carl:force.example,Carl Ode,1003,,Sgt,,carl,policy-officer reviewer\n"
)
TWO_PEOPLE = "policies:\n  folder: policies\n  activation: two-people\n"
EXTRA = """rules:
  - id: pack.kebab
    title: A kebab
    reason: it has a kebab
    family: kebab
    dpia: DPIA-1
    phrases: [kebab]
    confidence: {base: 70}
    match: [kebab please]
    no_match: [milk]
"""


class Office:
    """Commands of one force, and what they print."""

    def __init__(self, force: Force, capsys: pytest.CaptureFixture[str]) -> None:
        self.force, self.capsys = force, capsys

    def types(self, *words: str) -> tuple[int, str]:
        code = main(["-c", str(self.force.config), "policy", *words])
        out, err = self.capsys.readouterr()
        return code, out + err

    def opens(self) -> tuple[str, ...]:
        force = self.force
        return (
            "--vault", str(force.vault), "--share", str(force.share),
            "--passphrase-file", str(force.passphrase),
        )  # fmt: skip

    def draft(self, rules: str = EXTRA) -> None:
        (self.force.folder / "policies" / "packs" / "kebab.yaml").write_text(rules, "utf-8")

    def digest(self) -> str:
        folder = self.force.folder / "policies"
        return Shelf(self.force.folder / "state" / "policies").keep(read_files(folder))


@pytest.fixture(autouse=True)
def costs_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.policy.load.probe_costs", lambda *_: None)


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    force = found(tmp_path, "http://127.0.0.1:9")
    people = force.folder / "people.csv"
    people.write_text(people.read_text("utf-8") + OFFICERS, "utf-8")
    return Office(force, capsys)


@pytest.fixture
def two_people(office: Office) -> Office:
    office.force.config.write_text(office.force.config.read_text("utf-8") + TWO_PEOPLE, "utf-8")
    return office


def test_a_draft_runs_once_two_people_have_approved_it(two_people: Office) -> None:
    config = load_config(two_people.force.config)
    assert config.two_people
    with pytest.raises(ConfigError, match="no policy is active yet"):
        asyncio.run(app.run(config))
    first = load_policies(config.policies, clock=None).revision
    code, said = two_people.types("activate", first, "--by", "Anna Kelly")
    assert (code, "once another policy officer does" in said) == (0, True)
    assert drafts.approved(config) is None
    assert two_people.types("activate", first, "--by", "anna")[0] == 3
    assert two_people.types("activate", first, "--by", "Sgt Gwen Price")[0] == 3
    assert two_people.types("activate", first, "--by", "Carl Ode")[0] == 0
    assert drafts.approved(config) == first
    drafts.must_be_approved(config)

    two_people.draft()
    assert drafts.deciding(config).revision == first
    code, said = two_people.types("status")
    assert code == 0
    assert f"active   {first}" in said
    assert "2 more policy officers have to approve it" in said
    two_people.draft("rules: [")
    assert drafts.deciding(config).revision == first, "a broken draft stops nobody"


def test_two_people_are_two_accounts_unless_the_configuration_says_otherwise(
    two_people: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = two_people.force.config
    config = load_config(path)
    assert config.shared_account
    path.write_text(path.read_text("utf-8").replace("accounts: shared\n", ""), "utf-8")
    assert not load_config(path).shared_account
    first = two_people.digest()

    def approves(account: str, *by: str) -> tuple[int, str]:
        monkeypatch.setattr("bridge.cli.policing.signed_in", lambda _: account)
        return two_people.types("activate", first, *by)

    assert approves("anna", "--by", "Carl Ode")[0] == 3
    assert approves("nobody", "--by", "Carl Ode")[0] == 3
    assert approves("anna")[0] == 0
    assert approves("anna")[0] == 3
    assert drafts.approved(config) is None
    assert approves("carl", "--by", "Carl Ode")[0] == 0
    assert drafts.approved(config) == first


def test_the_account_is_the_one_that_somebody_signed_in_with(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = load_config(office.force.config)
    config.state.mkdir()
    login = tmp_path / "loginuid"
    monkeypatch.setattr("bridge.cli.common._LOGIN", login)
    assert signed_in(config) == who(), "where the kernel was not told"
    login.write_text("4294967295", "ascii")
    assert signed_in(config) == who()
    login.write_text(str(pwd.getpwnam("daemon").pw_uid), "ascii")
    assert signed_in(config) == "daemon", "whoever became the bot's account since"
    monkeypatch.setattr("os.getuid", lambda: pwd.getpwnam("bin").pw_uid)
    assert signed_in(config) == "bin", "others could have set it themselves"


def test_a_check_shows_what_may_be_meant_otherwise_with_file_and_line(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(office.force.config), "check"]) == 0
    office.draft(EXTRA.replace("[kebab]", "[kebab, nobody/do not/never park]"))
    assert main(["-c", str(office.force.config), "check"]) == 2
    folder = load_config(office.force.config).policies
    assert f"{folder}/packs/kebab.yaml:7: a slash binds tighter" in capsys.readouterr().err


def test_a_check_names_the_rooms_that_are_above_their_class(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = load_config(office.force.config).rooms
    plain = rooms.read_text("utf-8")
    rooms.write_text(
        plain.replace("ceiling: OFFICIAL\n", "ceiling: OFFICIAL-SENSITIVE\n", 1), "utf-8"
    )
    assert main(["-c", str(office.force.config), "check"]) == 2
    said = capsys.readouterr().err
    assert "Response A social may hold what is marked OFFICIAL-SENSITIVE" in said
    assert f"{rooms}:" in said


def test_a_check_says_that_nobody_hears_where_there_is_no_review_room(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = load_config(office.force.config).rooms
    head, _, _ = rooms.read_text("utf-8").partition("  review:\n")
    rooms.write_text(head, "utf-8")
    assert main(["-c", str(office.force.config), "check"]) == 2
    assert "there is no room of class review, so nobody hears" in capsys.readouterr().err


def test_a_doctor_says_that_nobody_hears_where_no_review_room_is_made(office: Office) -> None:
    config = load_config(office.force.config)

    async def found() -> list[str]:
        return [one.words async for one in doctor.examine(config)]

    words = "There is no review room: nobody can be asked about anything"
    assert any(one.startswith(words) for one in asyncio.run(found()))
    add_ids(config.lock, Lock().with_room("review", RoomId("!review")))
    assert not any(one.startswith(words) for one in asyncio.run(found()))


def test_a_copy_that_was_tampered_with_does_not_decide(two_people: Office) -> None:
    config = load_config(two_people.force.config)
    first = two_people.digest()
    for by in ("Anna Kelly", "Carl Ode"):
        assert two_people.types("activate", first, "--by", by)[0] == 0
    rules = config.shelf / first / "rules" / "talk.yaml"
    rules.write_text(rules.read_text("utf-8") + "# only a word\n", "utf-8")
    with pytest.raises(ConfigError, match="this copy was changed"):
        drafts.deciding(config)


def test_a_draft_that_nobody_approved_is_not_called_active(two_people: Office) -> None:
    _, said = two_people.types("status")
    assert "would not start: no policy is active yet" in said
    main(["-c", str(two_people.force.config), "check"])
    assert "not active yet, so that the bot does not start" in " ".join(
        two_people.capsys.readouterr().err.split()
    )
    for by in ("Anna Kelly", "Carl Ode"):
        assert two_people.types("activate", two_people.digest(), "--by", by)[0] == 0
    _, said = two_people.types("status")
    assert "it would start with" in said


def test_a_policy_file_under_a_name_that_is_not_read_is_refused(office: Office) -> None:
    (office.force.folder / "policies" / ".gitlab-ci.yml").write_text("stages: []\n", "utf-8")
    assert office.types("status")[0] == 0
    pack = office.force.folder / "policies" / "packs" / "ourforce.yml"
    pack.write_text(EXTRA, "utf-8")
    code, said = office.types("status")
    assert code == 3
    assert "policy files end in .yaml" in " ".join(said.split())


def test_the_configuration_says_who_activates(tmp_path: Path, office: Office) -> None:
    plain = office.force.config.read_text("utf-8")
    assert not load_config(office.force.config).two_people
    for activation, line in (("one-person", 3), ("", 3)):
        text = f"policies:\n  folder: policies\n  activation: {activation}\n"
        office.force.config.write_text(text + plain, "utf-8")
        with pytest.raises(ConfigError) as refused:
            load_config(office.force.config)
        assert refused.value.line == line
    office.force.config.write_text(plain + TWO_PEOPLE.replace("two-people", "folder"), "utf-8")
    assert not load_config(office.force.config).two_people


def test_a_baseline_is_a_folder_or_the_digest_of_a_copy(office: Office, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        '{"id": "a", "text": "kebab?", "label": "social"}\n'
        '{"id": "b", "text": "obs still on", "label": "operational"}\n', "utf-8"
    )  # fmt: skip
    old = office.digest()
    shutil.copytree(office.force.folder / "policies", tmp_path / "old")
    office.draft()
    code, said = office.types("test", "--corpus", str(corpus))
    assert code == 0
    assert "1: 1000.0 (206.5 to 1000.0)" in said
    assert "pack.kebab" in said
    for baseline in (old, old[:12], str(tmp_path / "old")):
        code, said = office.types("test", "--corpus", str(corpus), "--baseline", baseline)
        assert code == 0
        assert "newly matched: a\n" in said
        assert "no longer matched: none" in said
    code, said = office.types("test", "--corpus", str(corpus), "--baseline", "0" * 12)
    assert code == 3
    assert "neither a folder nor" in said


def remember(office: Office) -> None:
    """Two messages, one of which was moved, as the bot would have recorded them."""
    config = load_config(office.force.config)
    parts = app.check(config)
    facts: list[Fact] = []
    for event, words in (("$a", "kebab?"), ("$b", "obs still on"), ("$c", "milk?")):
        message = replace(say(event, words, at=app.now()), content=f'{{"body":"{words}"}}'.encode())
        verdict = parts.policy.judge(message, RoomClass.SOCIAL)
        if verdict.action is Action.ALLOW:
            facts.append(Seen(message=message, cls=RoomClass.SOCIAL, clean=verdict))
        else:
            facts.append(Seen(message=message, cls=RoomClass.SOCIAL))
            facts.append(Decided(message=message, cls=RoomClass.SOCIAL, verdict=verdict))

    async def append() -> None:
        store = SqliteStore(config.ledger, parts.identity, app.now, anchor=config.anchor)
        await store.append(facts)
        await store.checkpoint()
        await store.close()

    asyncio.run(append())


def rid_of(office: Office, kind: str) -> str:
    reader = SqliteReader(load_config(office.force.config).ledger)
    try:
        rows = [row.header for row in reader.rows() if f'"kind":"{kind}"'.encode() in row.header]
    finally:
        reader.close()
    return rows[-1].partition(b'"rid":"')[2][:32].decode()


def test_a_draft_is_tried_on_what_was_said_and_the_look_is_recorded(office: Office) -> None:
    remember(office)
    office.draft()
    asked = ("replay", "--from", "2020-01-01", "--purpose", "a new pack", *office.opens())
    code, said = office.types(*asked)
    assert code == 0
    assert "3 messages, draft" in said
    assert "newly matched: 1" in said
    assert "no longer matched: none" in said
    assert "pack.kebab" in said
    assert "kebab?" not in said
    config = load_config(office.force.config)
    reader = SqliteReader(consultations(config))
    kinds = [row.header for row in reader.rows() if b'"kind":"view"' in row.header]
    reader.close()
    assert len(kinds) == 1

    office.draft("rules: [")
    assert office.types(*asked)[0] == 3


def test_a_replay_without_a_purpose_opens_nothing(office: Office) -> None:
    remember(office)
    code, said = office.types("replay", "--from", "2020-01-01", "--purpose", " ", *office.opens())
    assert code == 3
    assert "purpose" in said
    assert not consultations(load_config(office.force.config)).exists()


def test_an_adjudication_names_the_message_or_its_verdict(office: Office) -> None:
    remember(office)
    rids = (rid_of(office, "verdict"), rid_of(office, "verdict"))
    for rid in rids:
        code, said = office.types(
            "adjudicate", rid, "--decision", "false-positive", "--by", "Carl Ode"
        )
        assert code == 0, said
        assert "wrong 1 times of 1" in said, "of the same verdict the last finding counts"
    clean = rid_of(office, "message")
    code, said = office.types("adjudicate", clean, "--decision", "restored", "--by", "Carl Ode")
    assert (code, "There is no verdict" in said) == (3, True)


def test_a_bot_that_is_not_running_reads_its_files_when_it_starts(office: Office) -> None:
    code, said = office.types("reload")
    assert (code, "when it starts" in said) == (0, True)


def test_an_explanation_underlines_what_was_seen(office: Office) -> None:
    code, said = office.types("explain", "AB12 CDE just left\nmilk?")
    assert code == 0
    lines = said.splitlines()
    assert lines[:3] == ["AB12 CDE just left", "^^^^^^^^      ~~~~", "milk?"]
    code, said = office.types("explain", "obs still on, AB12 CDE just left the address")
    assert "together: " in said
    assert "redirect" in said
    code, said = office.types("explain", "AB12 CDE", "--class", "operational")
    assert "recorded and not judged" in said


def test_whatever_bytes_come_in_are_explained(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.TextIOWrapper(io.BytesIO(b"AB12 CDE \xff\x00 just left"))
    monkeypatch.setattr("sys.stdin", raw)
    code, said = office.types("explain", "-")
    assert (code, "redirect" in said) == (0, True)


def test_the_notice_of_a_room_says_so_where_professional_standards_look(office: Office) -> None:
    classes = office.force.folder / "policies" / "classes.yaml"
    plain = classes.read_text("utf-8")
    off = load_policies(office.force.folder / "policies", clock=None)
    assert not off.conduct.enabled
    classes.write_text(plain.replace("  enabled: no\n", "  enabled: yes\n"), "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_policies(office.force.folder / "policies", clock=None)
    assert refused.value.line is not None
    on = "  enabled: yes\n  dpia: DPIA-BL-02\n  approver: ACC Example\n"
    classes.write_text(plain.replace("  enabled: no\n", on), "utf-8")
    live = load_policies(office.force.folder / "policies", clock=None)
    for cls in JUDGED:
        said = [card(p.classes[cls], secure="the secure room", contact="x") for p in (off, live)]
        assert live.conduct.looks_for not in said[0]
        assert live.conduct.looks_for in said[1]
    assert live.judge(say(EventId("$a"), "typical pikeys"), RoomClass.SOCIAL).referrals
    assert not off.judge(say(EventId("$a"), "typical pikeys"), RoomClass.SOCIAL).referrals
