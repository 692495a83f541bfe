"""A console process, and a real Chromium that goes through it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pyotp
import pytest

from bridge.config import Config
from bridge.console.accounts import STEP_S
from bridge.console.server import STATIC
from bridge.model import Ms
from tests.unit.console.world import PASSPHRASE, STAFF, Story, World, found, shift

IMAGES = Path(__file__).parents[2] / "docs" / "images"
AXE = STATIC.parent / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]  # fmt: skip
#: What has the focus, as it is called.
_CALLED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "";
  const label = one.labels && one.labels.length ? one.labels[0].textContent : "";
  return [one.getAttribute("aria-label"), label, one.textContent, one.placeholder, one.name]
    .filter(Boolean).join(" ");
}"""
#: Numbers whatever can be used and is there to be seen, in the order in which it reads; of buttons
#: of one choice only the one that the keyboard stops at. Says how many there are.
_NUMBERED = """() => {
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  const groups = new Set();
  const usable = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const every = [...document.querySelectorAll(usable)].filter((one) => {
    if (one.disabled || one.type === "hidden" || !one.checkVisibility()) return false;
    if (one.tabIndex < 0) return false;
    if (one.type !== "radio") return true;
    const group = [...document.getElementsByName(one.name)];
    const stop = group.find((each) => each.checked) ?? group[0];
    return one === stop;
  });
  every.forEach((one, place) => { one.dataset.walk = place; });
  return every.length;
}"""
#: The number of what has the focus, whether that shows, and what it is.
_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || !("walk" in one.dataset)) return [null, true, ""];
  const shown = (each) => {
    const style = getComputedStyle(each);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== "none";
  };
  const marks = [one, one.nextElementSibling, one.parentElement].filter(Boolean);
  const before = (each) => getComputedStyle(each, "::before").boxShadow !== "none";
  return [Number(one.dataset.walk), marks.some(shown) || marks.some(before),
          one.outerHTML.slice(0, 120)];
}"""
#: Rules of axe that are about WCAG 2.2, levels A and AA.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: For a console and a browser that share a busy machine with others.
_PATIENCE_S = 120
_ADDRESS = re.compile(r"answers at (http://[\d.]+:\d+)\. ")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the browser."""
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Find Chromium and what the console is built of, or say what is not there and skip."""
    where = shutil.which("chromium") or shutil.which("chromium-browser")
    missing = ""
    if where is None:
        missing = "there is no chromium (Debian: apt-get install chromium)"
    elif importlib.util.find_spec("playwright") is None:
        missing = "playwright is not installed (pip install playwright)"
    elif not (STATIC / "console.css").exists() or not AXE.exists():
        missing = "the console's styles are not built (make console-assets)"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing:
        pytest.skip(missing)
    return str(where)


class Place(Protocol):
    """A force, as its custodians and its console know it."""

    @property
    def folder(self) -> Path:
        """Where its configuration lies."""
        ...

    @property
    def config(self) -> Config: ...

    def share(self, name: str) -> Path: ...

    def passphrase(self, name: str) -> str: ...

    def enrolled(self, name: str, at: Ms) -> tuple[str, list[str]]: ...


@dataclass
class Console:
    """The console process of one force."""

    world: Place
    url: str
    #: Second factor and recovery codes.
    secrets: dict[str, tuple[str, list[str]]] = field(repr=False)
    browser: Any
    log: Path
    #: The last code of each that was used: none is good twice.
    used: dict[str, int] = field(default_factory=dict)
    open: list[Any] = field(default_factory=list, repr=False)

    def sign_in(self, name: str, *, js: bool = True, **options: Any) -> Desk:
        """Sign somebody in, in a browser window of their own."""
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 900}, java_script_enabled=js, **options
        )
        self.open.append(context)
        desk = Desk(self, name, context.new_page())
        desk.go("/sign-in")
        desk.page.fill("#name", name)
        desk.page.fill("#passphrase", PASSPHRASE)
        desk.page.fill("#code", self.code(name))
        desk.press("Sign in")
        return desk

    def code(self, name: str) -> str:
        """A code of the second factor, or a recovery code where that was used just now."""
        secret, recovery = self.secrets[name]
        step = int(time.time()) // STEP_S
        if self.used.get(name, 0) + 1 >= step and recovery:
            return recovery.pop()
        self.used[name] = step
        return str(pyotp.TOTP(secret).generate_otp(step))


@dataclass
class Desk:
    """One person's browser."""

    console: Console
    name: str
    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.set_default_timeout(_PATIENCE_S * 1000)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        # The browser says of an answer such as 403 that it failed; that is the answer's business.
        if message.type == "error" and "the server responded with a status" not in message.text:
            self.complaints.append(message.text)

    def go(self, path: str) -> int:
        """Open a page, and return its status."""
        answer = self.page.goto(self.console.url + path)
        return int(answer.status) if answer is not None else 0

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.page.wait_for_load_state()

    def follow(self, name: str) -> None:
        link = self.page.get_by_role("link", name=name)
        # What looks like a button is one to those who hear the page.
        link.or_(self.page.get_by_role("button", name=name, exact=True)).first.click()
        self.page.wait_for_load_state()

    def start(
        self, purpose: str = "Audit of how rooms are used", case: str = "PS/2026/114"
    ) -> Desk:
        self.page.get_by_label(purpose).check()
        self.page.fill("#case", case)
        self.press("Continue")
        return self

    def unlock(self, name: str = "psd") -> None:
        self.go("/keys")
        label = f"the reviewers ({name})" if name == "reviewers" else f"custodian {name}"
        self.page.get_by_label(label).check()
        self.page.set_input_files("input[type=file]", str(self.console.world.share(name)))
        self.page.fill("#passphrase", self.console.world.passphrase(name))
        self.press("Unlock")

    def says(self, text: str) -> bool:
        """Whether the page says so, now or soon."""
        until = time.monotonic() + _PATIENCE_S
        while not (said := text in self._body()) and time.monotonic() < until:
            self.page.wait_for_timeout(100)
        return said

    def lacks(self, text: str) -> bool:
        """Whether the page, which is all there, does not say so."""
        return text not in self._body()

    def _body(self) -> str:
        self.page.wait_for_load_state()
        return str(self.page.inner_text("body"))

    def heading(self) -> str:
        self.page.wait_for_load_state()
        return str(self.page.inner_text("h1"))

    def ended(self) -> str:
        """Wait until what runs on this page (a search, a trial) is over; what is said of it then.

        Until then the page changes by itself, and says the same in two places.
        """
        over = self.page.locator("[data-live]:not([data-live='running'])")
        over.wait_for(state="attached", timeout=3 * _PATIENCE_S * 1000)
        self.page.wait_for_load_state()
        return str(over.inner_text())

    def tab_to(self, name: str, most: int = 80) -> None:
        """Go with the Tab key to what is called *name*, as whoever has no mouse does."""
        self.page.wait_for_load_state()
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if name in self.page.evaluate(_CALLED):
                return
        pytest.fail(f"{self.page.url}: the keyboard does not get to {name!r}", pytrace=False)

    def goes_by_keyboard(self) -> None:
        """Walk through the page with the Tab key: everything is reached, in order, and shows it."""
        self.page.wait_for_load_state()
        count = int(self.page.evaluate(_NUMBERED))
        seen: list[int] = []
        for _ in range(2 * count + 20):
            self.page.keyboard.press("Tab")
            place, shows, what = self.page.evaluate(_FOCUSED)
            if place is None:
                continue
            assert shows, f"{self.page.url}: focus does not show on {what}"
            seen.append(int(place))
            if len(set(seen)) == count:
                break
        missed = sorted(set(range(count)) - set(seen))
        what = self.page.evaluate(
            "numbers => numbers.map((number) =>"
            " document.querySelector(`[data-walk='${number}']`).outerHTML.slice(0, 120))",
            missed,
        )
        assert not missed, f"{self.page.url}: the keyboard does not reach {what}"
        assert seen == sorted(seen), f"{self.page.url}: in another order than it reads"

    def looks_right(self, picture: str = "") -> None:
        """Hold the page against axe and 320 pixels; take its picture, wide and narrow."""
        self.page.wait_for_load_state()
        assert not self.complaints, self.complaints
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", _RULES
        )
        bad = [
            f"{one['id']} ({one['impact']}): {one['help']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
        ]
        assert not bad, f"{self.page.url}: {bad}"
        for width in (1280, 360, 320):
            self.page.set_viewport_size({"width": width, "height": 800})
            broad = self.page.evaluate("document.documentElement.scrollWidth")
            assert broad <= width, f"{self.page.url} is {broad} wide at {width}"
            self.page.evaluate("document.activeElement?.blur()")
            if picture and width != 320 and os.environ.get("BLUELAMP_IMAGES"):
                IMAGES.mkdir(exist_ok=True)
                self.page.screenshot(path=IMAGES / f"console-{picture}-{width}.png", full_page=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    where = chromium()
    # Only here: where the driver is not installed, the tests say so and are skipped.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=where, args=_ARGUMENTS)
        yield running
        running.close()


def serve(force: Place, browser: Any, *, staff: Iterable[str] = STAFF) -> Iterator[Console]:
    """Run the console of a force."""
    folder = force.folder
    now = Ms(int(time.time() * 1000))
    secrets = {name: force.enrolled(name, now) for name in staff}
    log = folder / "console.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "-c", str(folder / "config.yaml"), "console"],
            stdout=out, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    try:
        console = Console(force, _address(process, log), secrets, browser, log)
        yield console
        for context in console.open:
            context.close()
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1800):
        if (match := _ADDRESS.search(log.read_text())) is not None:
            return match[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"the console did not start: {log.read_text()}", pytrace=False)


@pytest.fixture(scope="module")
def console(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force with one custodian."""
    yield from serve(lately(tmp_path_factory.mktemp("one") / "force"), browser)


def lately(folder: Path) -> World:
    """A force whose two days are those before today: the first page shows the last fortnight."""
    day = datetime.now(UTC) - timedelta(days=2)
    began = day.replace(hour=9, minute=0, second=0, microsecond=0)
    story = shift(Story(Ms(int(began.timestamp() * 1000))))
    # A year's keys are for fifteen months from October on.
    return found(folder, "psd", story=story, certified=(began.year - (began.month < 10),))


@pytest.fixture(scope="module")
def two(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A force with two custodians."""
    yield from serve(found(tmp_path_factory.mktemp("two") / "force", "im", "psd"), browser)
