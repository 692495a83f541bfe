"""Stories in a real browser: what people do in the console, and what they are shown."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from bridge.console.accounts import Accounts
from bridge.model import Ms
from tests.browser.conftest import Console, Desk
from tests.unit.console.world import rids


@pytest.fixture(scope="module")
def auditor(console: Console) -> Desk:
    """A custodian who audits, with the key unlocked."""
    desk = console.sign_in("acustodian").start()
    desk.unlock()
    return desk


def test_somebody_enrols_with_a_second_factor_and_signs_in(console: Console) -> None:
    accounts = Accounts(console.world.folder / "console" / "auditors")
    code = accounts.reset("norole", Ms(time.time_ns() // 1_000_000))
    desk = Desk(console, "norole", console.browser.new_page())
    desk.go("/sign-in")
    desk.looks_right("sign-in")
    desk.follow("I have an enrolment code")
    desk.looks_right("enrol-passphrase")
    desk.page.fill("#name", "norole")
    desk.page.fill("#code", code)
    desk.page.fill("#passphrase", "short")
    desk.page.fill("#again", "short")
    desk.press("Continue")
    assert desk.says("at least 12 characters")
    desk.looks_right()
    desk.page.fill("#code", code)
    desk.page.fill("#passphrase", "another four words here")
    desk.page.fill("#again", "another four words here")
    desk.press("Continue")
    desk.looks_right("enrol")
    desk.page.get_by_text("I cannot scan it").click()
    secret = desk.page.inner_text("#totp-key").replace(" ", "")
    desk.page.fill("#code", pyotp.TOTP(secret).now())
    desk.press("Continue")
    words = desk.page.locator(".bl-codes li").all_inner_texts()
    assert len(set(words)) == 8
    desk.goes_by_keyboard()
    desk.looks_right("recovery")
    desk.follow("Sign in")
    desk.page.fill("#name", "norole")
    desk.page.fill("#passphrase", "another four words here")
    desk.page.fill("#code", words[0])
    desk.press("Sign in")
    assert desk.heading() == "What have you come for?"
    desk.looks_right("start")
    desk.page.close()


def test_a_wrong_code_is_refused_without_saying_what_was_wrong(console: Console) -> None:
    desk = Desk(console, "areader", console.browser.new_page())
    desk.go("/sign-in")
    desk.page.fill("#name", "areader")
    desk.page.fill("#passphrase", "nothing like it at all")
    desk.page.fill("#code", "000000")
    desk.press("Sign in")
    assert desk.says("The sign-in name, the passphrase or the code is not right")
    desk.looks_right()
    desk.page.close()


def test_without_a_purpose_and_a_case_nothing_is_shown(console: Console) -> None:
    desk = console.sign_in("areader")
    desk.go("/search")
    assert desk.heading() == "What have you come for?"
    desk.press("Continue")
    assert desk.says("Select what you have come for")
    assert desk.says("Enter a case or reference number")
    desk.looks_right()
    desk.start()
    assert desk.heading() == "Search the record"
    assert desk.says("PS/2026/114")
    assert desk.says("Content closed")
    desk.looks_right()


def test_the_page_of_keys_unlocks_and_says_what_is_wrong(console: Console) -> None:
    desk = console.sign_in("acustodian").start()
    desk.go("/keys")
    desk.looks_right("keys")
    desk.press("Unlock")
    assert desk.says("Select the share file")
    desk.page.get_by_label("custodian psd").check()
    desk.page.set_input_files("input[type=file]", str(console.world.share("psd")))
    desk.page.fill("#passphrase", "not the passphrase")
    desk.press("Unlock")
    assert desk.says("There is a problem")
    desk.unlock()
    assert desk.says("Content open")
    desk.looks_right()
    desk.press("Lock everything")
    assert desk.says("Content closed")


def test_home_has_charts_with_their_numbers_beside_them(auditor: Desk) -> None:
    auditor.go("/")
    assert auditor.page.locator("figure svg[role=img]").count() == 5
    auditor.page.get_by_text("Nudged, moved and taken out, as a table").click()
    assert auditor.says("moved")
    auditor.looks_right("home")


def test_words_are_found_newest_first_and_lead_into_the_conversation(auditor: Desk) -> None:
    auditor.go("/search")
    auditor.looks_right("search")
    auditor.page.fill("#words", "MILL lane")
    auditor.press("Search")
    assert "2 found" in auditor.ended()
    assert auditor.page.locator("mark").all_inner_texts() == ["Mill Lane", "Mill Lane"]
    assert re.fullmatch(r"/search/[\w-]{16}", auditor.page.url.removeprefix(auditor.console.url))
    auditor.looks_right("found")
    auditor.follow("In the conversation")
    assert auditor.heading() == "Response A social"
    assert auditor.page.locator(".bl-said--marked").count() == 1


def test_a_conversation_reads_like_one(auditor: Desk) -> None:
    auditor.go("/rooms/response-a-social/conversation")
    assert auditor.page.locator("h2.bl-talk__day").count() == 2
    assert auditor.says("Whose turn is it to bring the milk?")
    assert auditor.says("Blue Lamp: moved by rule veh.vrm")
    assert auditor.says("taken out of the room: done")
    assert auditor.says("Never mind, found it")
    assert auditor.says("Taken out of the room by Chloe Patel")
    auditor.page.get_by_text("2 versions").click()
    assert auditor.says("Who's on the tea run? Two sugars please")
    assert auditor.says("Could not be read")
    auditor.looks_right("conversation")


def test_hostile_words_do_no_harm(auditor: Desk) -> None:
    auditor.go("/rooms/response-a-social/conversation")
    shown = auditor.page.get_by_text("<script>alert(1)</script>").first
    assert shown.is_visible()
    assert "[U+202E]" in shown.inner_text()
    assert not auditor.complaints


def test_a_file_is_opened_on_request(auditor: Desk) -> None:
    auditor.go("/rooms/response-a-social/conversation")
    with auditor.page.context.expect_page() as opened:
        auditor.press("Open the file ../cake<1>.png")
    page = opened.value
    page.locator("img").wait_for()
    page.wait_for_load_state()
    assert page.evaluate("document.images[0].naturalWidth") == 1
    page.close()


def test_the_proof_of_a_record_is_one_click_away_and_holds(auditor: Desk) -> None:
    auditor.go("/rooms/response-a-social/conversation")
    auditor.follow("Link to record")
    auditor.looks_right()
    auditor.follow("Proof")
    assert auditor.says("Checked just now: it holds")
    assert auditor.says("c2sp.org/tlog-proof@v1")
    auditor.looks_right("proof")


def test_what_stands_in_the_clear_is_listed(auditor: Desk) -> None:
    auditor.go("/search")
    auditor.page.select_option("#action", "redirect")
    auditor.press("Search")
    assert auditor.heading() == "3 records"
    auditor.looks_right()


def test_every_list_looks_right(auditor: Desk) -> None:
    for path, picture in (("/rooms", "rooms"), ("/rooms/response-a-social", "room"),
                          ("/retention", "retention"), ("/subject", "subject")):  # fmt: skip
        assert auditor.go(path) == 200
        auditor.looks_right(picture)


def test_a_person_is_gathered_with_third_parties_marked(auditor: Desk) -> None:
    auditor.go("/subject")
    auditor.page.fill("#person", "Ben Hughes")
    auditor.page.fill("#basis", "SAR/2026/31")
    auditor.press("Gather it")
    assert auditor.says("Two sugars please")
    assert "hughes" not in auditor.page.url.lower()
    auditor.looks_right("subject-found")


def test_a_page_that_is_not_there_is_said_so(auditor: Desk) -> None:
    assert auditor.go("/no/such/page") == 404
    assert auditor.heading() == "There is no such page"
    auditor.looks_right("error")


def test_a_conversation_prints_without_what_only_screens_need(auditor: Desk) -> None:
    auditor.go("/rooms/response-a-social/conversation")
    auditor.page.emulate_media(media="print")
    assert not auditor.page.locator(".govuk-service-navigation").is_visible()
    assert auditor.page.get_by_text("Whose turn is it to bring the milk?").is_visible()
    assert auditor.page.get_by_text("PS/2026/114").first.is_visible()
    auditor.page.emulate_media(media="screen")


def test_a_search_goes_by_keyboard_alone(auditor: Desk) -> None:
    auditor.go("/search")
    auditor.page.keyboard.press("Tab")
    assert auditor.page.evaluate("document.activeElement.textContent") == "Skip to main content"
    auditor.page.keyboard.press("Enter")
    auditor.page.focus("#words")
    auditor.page.keyboard.type("milk")
    auditor.page.keyboard.press("Enter")
    assert "1 found" in auditor.ended()


def test_a_reviewer_decides_two_matters_and_sees_them_decided(console: Console) -> None:
    desk = console.sign_in("sokoro").start("Appeal or referral")
    desk.go("/referrals")
    assert desk.says("The messages are closed")
    desk.unlock("reviewers")
    desk.go("/referrals")
    assert desk.says("9 Mill Lane does the best chips")
    assert desk.lacks("shut her up")
    desk.looks_right("referrals")
    _decide(desk, "chips", "Agree with the officer", "It is a chip shop")
    _decide(desk, "26XX", "Agree with the bot", "It is a custody reference")
    assert desk.lacks("9 Mill Lane")
    assert desk.says("agreed with the officer")
    assert desk.says("agreed with the bot")


def _decide(desk: Desk, words: str, decision: str, reason: str) -> None:
    desk.go("/referrals")
    desk.page.get_by_role("row").filter(has_text=words).get_by_role("link").click()
    if words == "chips":
        desk.looks_right("referral")
    desk.page.get_by_label(decision).check()
    desk.page.fill("#reason", reason)
    desk.press("Put the decision on record")
    assert desk.says("Your decision is on record")


def test_professional_standards_sees_no_name_before_saying_why(console: Console) -> None:
    desk = console.sign_in("pstandards").start("Appeal or referral")
    desk.unlock("reviewers")
    desk.go("/conduct")
    desk.looks_right("conduct")
    desk.follow("Open matter")
    assert desk.says("shut her up")
    assert desk.lacks("Dan Murray")
    desk.looks_right("matter")
    desk.follow("Show who it is, and what is around it")
    assert desk.says("You are about to be shown who Person ")
    desk.goes_by_keyboard()
    desk.looks_right("reveal")
    desk.press("Record it and show who it is")
    assert desk.says("Say why you have to know who it is")
    desk.looks_right()
    desk.page.fill("#reason", "to speak with them")
    desk.press("Record it and show who it is")
    assert desk.says("Dan Murray")


def test_two_custodians_ask_and_release_in_two_browsers(two: Console) -> None:
    asker = two.sign_in("areader").start()
    asker.go("/keys/ask")
    asker.page.select_option("#room", label="Response A social")
    asker.page.fill("#person", "Ben Hughes")
    asker.looks_right("ask")
    asker.press("Ask")
    assert asker.says("Waits for im and psd")
    for sign_in, name in (("second", "im"), ("acustodian", "psd")):
        custodian = two.sign_in(sign_in).start("Appeal or referral", "R/1")
        custodian.go("/")
        custodian.follow("request of areader")
        assert custodian.says("unlock your custodian\u2019s key")
        custodian.unlock(name)
        custodian.go("/keys")
        custodian.page.get_by_role("link", name="room:").click()
        assert int(custodian.page.inner_text("#count").split()[0]) > 3
        custodian.looks_right("request")
        custodian.page.get_by_label("Release these records").check()
        custodian.press("Answer")
        assert custodian.says("and to nobody else")
    asker.go("/keys")
    asker.page.get_by_role("button", name="Open").click()
    asker.go("/rooms/response-a-social/conversation")
    assert asker.says("AB12 CDE has just left")
    assert asker.lacks("Whose turn is it to bring the milk?")
    asker.looks_right()


def test_a_request_is_refused_with_a_reason(two: Console) -> None:
    asker = two.sign_in("disclose").start()
    asker.go("/keys/ask")
    asker.page.fill("#from", "2026-11-20")
    asker.press("Ask")
    custodian = two.sign_in("second").start()
    custodian.go("/keys")
    custodian.page.get_by_role("row").filter(has_text="disclose").get_by_role("link").click()
    custodian.page.fill("#reason", "far too much")
    custodian.press("Refuse")
    asker.go("/keys")
    assert asker.says("Refused by second: far too much")


def test_records_are_handed_out_with_hashes_and_a_recipient(
    two: Console, console: Console, tmp_path: Path
) -> None:
    desk = console.sign_in("disclose").start()
    desk.go("/search")
    assert desk.says("Content is closed")
    owner = console.sign_in("acustodian").start()
    desk.go("/keys/ask")
    desk.page.select_option("#room", label="Response A social")
    desk.press("Ask")
    owner.unlock()
    owner.go("/keys")
    owner.page.get_by_role("row").filter(has_text="disclose").get_by_role("link").click()
    owner.page.get_by_label("Release these records").check()
    owner.press("Answer")
    desk.go("/keys")
    desk.page.get_by_role("button", name="Open").click()
    desk.page.get_by_label("Response A social", exact=True).check()
    desk.press("Search")
    desk.page.get_by_text("Hand these records out").click()
    desk.page.fill("#recipient", "Exampleshire Crown Court")
    with desk.page.expect_download() as waiting:
        desk.press("Save the file")
    file = tmp_path / "export.jsonl"
    waiting.value.save_as(file)
    first, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert first["recipient"] == "Exampleshire Crown Court"
    assert first["records"] == len(lines) > 10
    assert any("AB12 CDE" in (line["opened"] or "") for line in lines)


def test_who_looked_shows_who_when_what_and_why(console: Console, auditor: Desk) -> None:
    desk = console.sign_in("logs").start()
    desk.go("/looked")
    for words in ("acustodian", "read a conversation", "Audit of how rooms are used",
                  "PS/2026/114", "searched the words of what is open", "signed in"):  # fmt: skip
        assert desk.says(words)
    desk.looks_right("looked")
    desk.page.select_option("#category", "disclosure")
    desk.press("Show")
    assert desk.says("Exampleshire Crown Court")


def test_a_restricted_enquiry_is_for_the_independent_log_reader_only(console: Console) -> None:
    covert = console.sign_in("acustodian").start("Covert enquiry", "OP/SECRET")
    covert.unlock()
    covert.go("/rooms/response-a-social/conversation")
    usual = console.sign_in("logs").start()
    usual.go("/looked")
    assert usual.lacks("OP/SECRET")
    independent = console.sign_in("independent").start()
    independent.go("/looked")
    assert independent.says("OP/SECRET")


def test_the_other_roles_see_their_pages_and_no_content(console: Console) -> None:
    policy = console.sign_in("policy").start()
    policy.go("/policies")
    policy.looks_right("policies")
    admin = console.sign_in("admin").start()
    admin.go("/accounts")
    admin.looks_right("accounts")
    for path in ("/search", "/rooms/response-a-social/conversation", "/looked", "/conduct"):
        assert admin.go(path) == 403
    admin.looks_right()


def test_whoever_is_signed_out_by_the_administrator_is_out(console: Console) -> None:
    desk = console.sign_in("independent").start()
    admin = console.sign_in("admin").start()
    admin.go("/accounts")
    admin.press("Sign out independent")
    desk.go("/looked")
    assert desk.heading() == "Sign in to the auditors\u2019 console"


def test_everything_works_without_scripts(console: Console) -> None:
    desk = console.sign_in("acustodian", js=False).start()
    desk.unlock()
    desk.go("/search")
    desk.page.fill("#words", "milk")
    desk.press("Search")
    assert "1 found" in desk.ended()
    desk.follow("In the conversation")
    assert desk.says("Whose turn is it to bring the milk?")


def test_no_word_and_no_name_is_in_the_log_of_the_console(console: Console, auditor: Desk) -> None:
    log = console.log.read_text()
    for words in ("milk", "Mill Lane", "acustodian", "Ben Hughes", "fault"):
        assert words not in log
    assert list(rids(console.world.config, "message"))


def test_a_cookie_of_another_browser_is_no_session(console: Console, auditor: Desk) -> None:
    cookies: list[dict[str, Any]] = auditor.page.context.cookies()
    assert cookies[0]["name"].startswith("__Host-")
    assert cookies[0]["secure"]
    assert cookies[0]["httpOnly"]
    thief = console.browser.new_context(user_agent="another browser")
    thief.set_default_timeout(120_000)
    thief.add_cookies(cookies)
    page = thief.new_page()
    page.goto(console.url + "/search")
    assert "Sign in" in page.inner_text("h1")
    thief.close()
