"""Signing in by a real OpenID Connect provider, and what one that lies gets: nothing."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from bridge.config import Config
from bridge.console.guard import COOKIE as OURS
from bridge.console.pages.providing import COOKIE
from bridge.console.provider import NotSignedIn, SignIns, is_private
from bridge.console.settings import Provider, load_settings
from bridge.errors import ConfigError
from bridge.model import Ms
from bridge.records.consult import journal_of
from bridge.secret import write_secret
from bridge.store import journal
from tests.provider.conftest import providing
from tests.unit.console.conftest import Browser
from tests.unit.console.test_guard import ELSEWHERE, stays_here
from tests.unit.console.world import World

BACK = "/sign-in/provider/back"
SECRET = "a secret of some length: +/=%"
PLAIN = Provider(
    issuer="", client="public", secret=None, name="Exampleshire sign-in",
    scopes=("openid", "profile"), name_claim="preferred_username", roles_claim="", roles={},
    acr=(), only=False,
)  # fmt: skip


def real_time() -> Ms:
    return Ms(int(time.time() * 1000))


def use(browser: Browser, provider: Provider) -> None:
    """Have the console use this provider."""
    browser.desk.settings = replace(browser.desk.settings, provider=provider)
    browser.desk.sign_ins = SignIns(provider, real_time)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A real provider."""
    with providing() as running:
        yield running


@pytest.fixture
def real(browser: Browser, issuer: str) -> Browser:
    """A console whose force has a real provider."""
    use(browser, replace(PLAIN, issuer=issuer))
    return browser


def provider_of(browser: Browser) -> Provider:
    assert browser.desk.sign_ins is not None
    return browser.desk.sign_ins.provider


async def sent(browser: Browser, then: str = "") -> tuple[str, str]:
    """Begin to sign in; where they are sent, and with what cookie."""
    answer = await browser.get(f"/sign-in/provider?then={then}")
    assert answer.status == 303, await answer.text()
    cookie = answer.cookies[COOKIE]
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("Lax", True, True)
    return answer.headers["Location"], cookie.value


async def as_whom(place: str, name: str) -> str:
    """Sign in there as *name* and agree, as a person does; where the provider sends them back."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        for _ in range(12):
            answer = await session.get(place, allow_redirects=False)
            if answer.status in {302, 303}:
                place = urljoin(place, answer.headers["Location"])
                if BACK in place:
                    return place
                continue
            page = await answer.text()
            action = re.search(r'action="([^"]+)"', page)
            assert action is not None, page[:2000]
            form = {"prompt": "login", "login": name, "password": "any"}
            if "consent" in page:
                form = {"prompt": "consent"}
            answer = await session.post(
                urljoin(place, unescape(action[1])), data=form, allow_redirects=False
            )
            place = urljoin(place, answer.headers["Location"])
    raise AssertionError(f"the provider did not send them back: {place}")


async def back(browser: Browser, place: str, cookie: str) -> aiohttp.ClientResponse:
    """Come back as browsers do: from another site, with the cookie that may come from there."""
    parts = urlsplit(place)
    return await browser.get(
        f"{parts.path}?{parts.query}", **{"Sec-Fetch-Site": "cross-site",
                                          "Cookie": f"{COOKIE}={cookie}"}
    )  # fmt: skip


async def sign_in(browser: Browser, name: str, then: str = "") -> aiohttp.ClientResponse:
    place, cookie = await sent(browser, then)
    return await back(browser, await as_whom(place, name), cookie)


async def test_somebody_signs_in_and_has_the_roles_of_people_csv(real: Browser) -> None:
    answer = await sign_in(real, "acustodian", "/search")
    assert answer.status == 200
    page = await answer.text()
    assert 'content="0; url=/search"' in page
    assert answer.cookies[OURS]["samesite"] == "Strict"
    assert answer.cookies[COOKIE].value == ""
    person = await real.start()
    assert (await person.get("/search")).status == 200
    assert (await person.get("/accounts")).status == 403
    assert any(one.who == "acustodian" and one.what == "signed in with the identity provider"
               for one in journal.read(journal_of(real.world.config)))  # fmt: skip


async def test_the_provider_is_asked_with_pkce_state_and_nonce(real: Browser) -> None:
    place, _ = await sent(real)
    asked = {name: value[0] for name, value in parse_qs(urlsplit(place).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert min(len(asked["state"]), len(asked["nonce"])) > 40
    other, _ = await sent(real)
    assert parse_qs(urlsplit(other).query)["state"] != [asked["state"]]


async def test_a_client_with_a_secret_signs_in_as_well(real: Browser) -> None:
    file = real.world.folder / "oidc.secret"
    write_secret(file, SECRET)
    use(real, replace(provider_of(real), client="console", secret=file))
    assert (await sign_in(real, "acustodian")).status == 200


async def test_whoever_is_not_listed_is_refused(real: Browser) -> None:
    answer = await sign_in(real, "stranger")
    assert answer.status == 400
    assert OURS not in answer.cookies
    assert "You are not listed" in await answer.text()


async def test_roles_come_from_a_claim_where_that_is_chosen(real: Browser) -> None:
    """Somebody who is not in people.csv at all; what their groups do not mean gives nothing."""
    roles = {"bl-auditors": "auditor", "bl-custodians": "custodian", "bl-admins": "administrator"}
    use(real, replace(provider_of(real), scopes=("openid", "profile"), roles_claim="groups",
                      roles=roles))  # fmt: skip
    answer = await sign_in(real, "agroup")
    assert answer.status == 400, "the provider was not asked for groups"
    use(real, replace(provider_of(real), scopes=("openid", "profile", "groups")))
    assert (await sign_in(real, "agroup")).status == 200
    person = await real.start()
    page = await (await person.get("/search")).text()
    assert "agroup Provided" in page
    assert (await person.get("/retention")).status == 200
    assert (await person.get("/accounts")).status == 403
    real.token = ""
    assert (await sign_in(real, "outsider")).status == 400
    # People.csv says custodian; the claim says nothing, and it is the claim that counts.
    assert (await sign_in(real, "acustodian")).status == 200
    assert (await (await real.start()).get("/search")).status == 403


async def test_an_address_is_a_name_only_if_it_was_made_sure_of(real: Browser) -> None:
    use(real, replace(provider_of(real), scopes=("openid", "email"), name_claim="email"))
    assert "has not made sure" in await (await sign_in(real, "second")).text()
    assert "You are not listed" in await (await sign_in(real, "acustodian")).text()


async def test_whoever_did_not_sign_in_strongly_enough_is_refused(real: Browser) -> None:
    use(real, replace(provider_of(real), acr=("urn:force:three-factors",)))
    answer = await sign_in(real, "acustodian")
    assert answer.status == 400
    assert "as strongly" in await answer.text()


async def test_whoever_is_disabled_here_does_not_come_in_by_another_door(real: Browser) -> None:
    assert (await sign_in(real, "second")).status == 200
    person = await real.start()
    assert (await person.get("/")).status == 200
    real.desk.accounts.disable("second")
    try:
        assert (await person.get("/")).headers["Location"].startswith("/sign-in")
        real.token = ""
        assert (await sign_in(real, "second")).status == 400
    finally:
        real.desk.accounts.folder.joinpath("second.json").unlink()
        real.world.enrolled("second", real.clock())


async def test_what_comes_back_is_good_once_and_in_one_browser(real: Browser) -> None:
    place, cookie = await sent(real)
    returned = await as_whom(place, "acustodian")
    for wrong in ("", "another"):
        answer = await back(real, returned, wrong)
        assert answer.status == 400
        assert "begun in another browser" in await answer.text()
    _, other = await sent(real)
    assert "was not begun here" in await (await back(real, returned, other)).text()
    assert (await back(real, returned, cookie)).status == 200
    real.token = ""
    assert (await back(real, returned, cookie)).status == 400


async def test_a_refusal_of_the_provider_is_one_of_ours(real: Browser) -> None:
    place, cookie = await sent(real)
    state = parse_qs(urlsplit(place).query)["state"][0]
    answer = await back(
        real, f"{BACK}?error=access_denied&state={state}&error_description=<b>", cookie
    )
    assert answer.status == 400
    assert "did not sign you in" in await answer.text()


async def test_another_site_cannot_send_somebody_elsewhere_afterwards(real: Browser) -> None:
    answer = await sign_in(real, "acustodian", "//evil.example")
    assert 'content="0; url=/"' in await answer.text()


async def test_where_only_the_provider_counts_no_passphrase_is_taken(real: Browser) -> None:
    use(real, replace(provider_of(real), only=True))
    page = await (await real.get("/sign-in")).text()
    assert "Exampleshire sign-in" in page
    assert "Passphrase" not in page
    answer = await real.post("/sign-in", {"name": "acustodian", "passphrase": "x", "code": "1"})
    assert answer.status == 403


async def test_without_a_provider_there_is_no_such_way(browser: Browser) -> None:
    assert (await browser.get("/sign-in/provider")).status == 404
    assert (await browser.get(f"{BACK}?code=x&state=y")).status == 404


# One that lies


@dataclass
class Liar:
    """A provider that says whatever a test has it say."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    claims: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    discovered: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    signer: Any = None
    nonce: str = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discover)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        app.router.add_get("/me", self._info)
        return app

    async def _discover(self, _: web.Request) -> web.Response:
        places = {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in (
            ("authorization", "go"), ("token", "token"), ("userinfo", "me"))}  # fmt: skip
        return web.json_response({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys",
                                  **places, **self.discovered})  # fmt: skip

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _token(self, _: web.Request) -> web.Response:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "public", "sub": "1", "iat": now, "exp": now + 60,
            "nonce": self.nonce, "preferred_username": "acustodian", **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithms = [self.header["alg"]]
        token = jwt.encode(self.header, claims, self.signer or self.key, algorithms=algorithms)
        return web.json_response({"id_token": token, "access_token": "x"})

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response(self.info)


@pytest_asyncio.fixture
async def liar(browser: Browser) -> AsyncIterator[Liar]:
    made = Liar()
    server = TestServer(made.app(), host="127.0.0.1")
    await server.start_server()
    made.issuer = str(server.make_url("")).rstrip("/")
    use(browser, replace(PLAIN, issuer=made.issuer))
    yield made
    await server.close()


async def told(browser: Browser, liar: Liar, then: str = "") -> aiohttp.ClientResponse:
    """Sign in by what the liar says."""
    place, cookie = await sent(browser, quote(then, safe=""))
    asked = parse_qs(urlsplit(place).query)
    liar.nonce = liar.nonce or asked["nonce"][0]
    return await back(browser, f"{BACK}?code=c&state={asked['state'][0]}", cookie)


async def test_whoever_says_it_truly_is_believed(browser: Browser, liar: Liar) -> None:
    assert (await told(browser, liar)).status == 200


LIES: dict[str, Callable[[Liar], object]] = {
    "another issuer": lambda one: one.claims.update(iss="https://id.evil.example"),
    "for another client": lambda one: one.claims.update(aud="payroll"),
    "for two, and not by us": lambda one: one.claims.update(aud=["public", "payroll"]),
    "for two, by the other": lambda one: one.claims.update(aud=["public", "p"], azp="p"),
    "another's party": lambda one: one.claims.update(azp="payroll"),
    "too old": lambda one: one.claims.update(exp=int(time.time()) - 600),
    "without an end": lambda one: one.claims.update(exp=None),
    "of another sign-in": lambda one: setattr(one, "nonce", "of yesterday"),
    "without a nonce": lambda one: one.claims.update(nonce=None),
    "about nobody": lambda one: one.claims.update(sub=None),
    "a name that is no text": lambda one: one.claims.update(preferred_username=["acustodian"]),
    "a name that does not show": lambda one: one.claims.update(preferred_username="a\u202eb"),
    "somebody else's details": lambda one: (
        one.claims.update(preferred_username=None),
        one.info.update(sub="2", preferred_username="acustodian"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_not_believed(browser: Browser, liar: Liar, lie: str) -> None:
    LIES[lie](liar)
    answer = await told(browser, liar)
    assert answer.status == 400
    assert OURS not in answer.cookies


async def test_a_signature_of_another_key_or_of_none_counts_for_nothing(
    browser: Browser, liar: Liar
) -> None:
    liar.signer = RSAKey.generate_key(2048, {"kid": "one"})
    assert (await told(browser, liar)).status == 400
    # What everybody can read, taken for a shared secret.
    liar.header, liar.nonce = {"alg": "HS256"}, ""
    liar.signer = OctKey.import_key(str(liar.key.as_dict(private=False)["n"]))
    assert (await told(browser, liar)).status == 400


async def test_keys_that_were_changed_since_are_asked_for_again(
    browser: Browser, liar: Liar
) -> None:
    assert (await told(browser, liar)).status == 200
    browser.token, liar.nonce = "", ""
    liar.key, liar.header = RSAKey.generate_key(2048, {"kid": "2"}), {"alg": "RS256", "kid": "2"}
    assert (await told(browser, liar)).status == 200


@pytest.mark.parametrize(
    "discovered",
    [{"issuer": "https://id.evil.example"}, {"token_endpoint": "http://id.evil.example/token"},
     {"jwks_uri": "file:///etc/passwd"}, {"token_endpoint": 7}],
)  # fmt: skip
async def test_a_provider_that_is_another_or_in_the_open_is_not_asked(
    browser: Browser, liar: Liar, discovered: dict[str, Any]
) -> None:
    liar.discovered = discovered
    assert (await browser.get("/sign-in/provider")).status == 503


async def test_a_provider_that_does_not_answer_is_said_so(browser: Browser) -> None:
    use(browser, replace(PLAIN, issuer="http://127.0.0.1:9"))
    answer = await browser.get("/sign-in/provider")
    assert answer.status == 503
    assert "cannot be reached" in await answer.text()


async def test_who_tries_too_often_waits(browser: Browser, liar: Liar) -> None:
    for status in [400] * 5 + [429]:
        _, cookie = await sent(browser)
        assert (await back(browser, f"{BACK}?code=x&state=y", cookie)).status == status
    wrong = {"name": "acustodian", "passphrase": "wrong and wrong", "code": "000000"}
    assert (await browser.post("/sign-in", wrong)).status == 400, "another door stays open"


async def test_coming_back_without_having_gone_locks_nobody_out(
    browser: Browser, liar: Liar
) -> None:
    """Anybody can ask for that address, and any page can have others ask for it."""
    before = len(list(journal.read(journal_of(browser.world.config))))
    for cookie in ["", "made-up"] * 6:
        answer = await back(browser, f"{BACK}?code=x&state=y", cookie)
        assert answer.status == 400
        assert "begun in another browser" in await answer.text()
    assert len(list(journal.read(journal_of(browser.world.config)))) == before
    assert (await told(browser, liar)).status == 200


@pytest.mark.parametrize("then", ELSEWHERE)
async def test_whoever_comes_back_goes_on_to_no_other_site(
    browser: Browser, liar: Liar, then: str
) -> None:
    answer = await told(browser, liar, then)
    assert answer.status == 200
    place = re.search(r'content="0; url=([^"]*)"', await answer.text())
    assert place is not None
    assert stays_here(unescape(place[1]))


async def test_whoever_comes_back_goes_on_to_the_very_page(browser: Browser, liar: Liar) -> None:
    answer = await told(browser, liar, "/looked?chosen=a%2Fb&page=2")
    assert 'href="/looked?chosen=a%2Fb&amp;page=2"' in await answer.text()


async def test_a_sign_in_that_takes_too_long_is_over(liar: Liar) -> None:
    at = [1_000_000]
    sign_ins = SignIns(replace(PLAIN, issuer=liar.issuer), lambda: Ms(at[0]))
    _, cookie = await sign_ins.begin("/", "http://127.0.0.1/")
    at[0] += 600_001
    with pytest.raises(NotSignedIn, match="over"):
        await sign_ins.finish(cookie, {"state": "x", "code": "y"})


def test_only_what_nobody_can_read_on_the_way_is_private() -> None:
    assert is_private("https://id.force.example/token")
    assert is_private("http://127.0.0.1:8080/token")
    for place in ("http://id.force.example", "ftp://127.0.0.1", "https://", "", "/token"):
        assert not is_private(place)


# What a force writes


def provider_in(world: World, text: str) -> Provider | None:
    config: Config = world.config
    file = world.folder / "other-console.yaml"
    file.write_text(f"provider:\n{text}")
    return load_settings(file, config).provider


def test_the_settings_of_a_provider_are_read_strictly(world: World) -> None:
    whole = provider_in(
        world,
        "  issuer: https://id.force.example/\n  client: console\n  secret_file: oidc.secret\n"
        "  scopes: [profile, groups]\n  roles_claim: groups\n  roles: {bl-auditors: auditor}\n"
        "  acr: [two]\n  only: true\n",
    )
    assert whole is not None
    assert whole.issuer == "https://id.force.example"
    assert whole.secret == world.folder / "oidc.secret"
    assert whole.scopes == ("openid", "profile", "groups")
    for text, why in (
        ("  issuer: http://id.force.example\n  client: c\n", "is not an address"),
        ("  issuer: https://id.force.example\n", "'client' is missing"),
        ("  issuer: https://i.example\n  client: c\n  roles_claim: groups\n", "or neither"),
        ("  issuer: https://i.example\n  client: c\n  roles_claim: g\n  roles: {a: king}\n",
         "no role"),
        ("  issuer: https://i.example\n  client: c\n  secret: hunter2\n", "unknown key 'secret'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=why):
            provider_in(world, text)
