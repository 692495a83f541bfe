"""A force's identity provider, spoken to by OpenID Connect: the code flow, with PKCE.

Never believes an answer that it did not ask for: state, nonce and verifier are made for one browser
and are good once. Never keeps a token: what it says of somebody is read, and it is forgotten.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bridge.bounded import at_most
from bridge.console.settings import Provider
from bridge.errors import BridgeError
from bridge.model import Ms
from bridge.ports import Clock
from bridge.secret import read_secret

#: Somebody who has gone to sign in there comes back within this time.
PATIENCE_MS = 600_000
UNKNOWN = "This sign-in is over, or was begun in another browser. Begin again."
#: Sign-ins that are on their way at the same time; the oldest is forgotten first.
_MOST = 1_000
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LONGEST = 256 * 1024
#: What a provider says of itself, and its keys, are asked for again after so long.
_FRESH_MS = 3_600_000
#: No shared secret and no 'none': whoever signs has a key that we cannot have.
_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
_LEEWAY_S = 60


class NotSignedIn(BridgeError):
    """The identity provider did not say who it is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A sign-in that is on its way."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    #: Where they want to go afterwards, where the provider sends them back to, and until when.
    then: str
    back: str
    until: Ms


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom the provider says that it is."""

    name: str
    #: Their full name, as it has that.
    full: str
    #: None where people.csv has the roles.
    roles: frozenset[str] | None


class _Discovered(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = []


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str = ""


@dataclass(slots=True)
class SignIns:
    """The sign-ins by one provider."""

    provider: Provider
    clock: Clock
    #: The hash of a browser's cookie → its sign-in.
    _asked: dict[str, Asked] = field(default_factory=dict, repr=False)
    _known: tuple[Ms, _Discovered] | None = None
    _keys: tuple[Ms, KeySet] | None = None

    async def begin(self, then: str, back: str) -> tuple[str, str]:
        """Send somebody there; return where to, and the cookie that is to come back with them.

        Raises:
            NotSignedIn: the provider does not answer.
        """
        known = await self._discovered()
        now, cookie = self.clock(), secrets.token_urlsafe(32)
        for key in [key for key, one in self._asked.items() if one.until < now]:
            del self._asked[key]
        while len(self._asked) >= _MOST:
            del self._asked[next(iter(self._asked))]
        asked = Asked(
            state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48), then=then, back=back, until=Ms(now + PATIENCE_MS),
        )  # fmt: skip
        self._asked[_digest(cookie)] = asked
        query = {
            "response_type": "code", "client_id": self.provider.client, "redirect_uri": back,
            "scope": " ".join(self.provider.scopes), "state": asked.state, "nonce": asked.nonce,
            "code_challenge": _challenge(asked.verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        if self.provider.acr:
            query["acr_values"] = " ".join(self.provider.acr)
        mark = "&" if urlsplit(known.authorization_endpoint).query else "?"
        return f"{known.authorization_endpoint}{mark}{urlencode(query)}", cookie

    def knows(self, cookie: str) -> bool:
        """Say whether a browser has begun to sign in with this cookie, and has not come back."""
        return _digest(cookie) in self._asked

    async def finish(self, cookie: str, answer: Mapping[str, str]) -> tuple[Claimed, str]:
        """Take somebody in who has come back; return who it is, and where they wanted to go.

        Raises:
            NotSignedIn: this browser did not ask, or the provider does not vouch for them.
        """
        asked = self._asked.pop(_digest(cookie), None)
        if asked is None or self.clock() > asked.until:
            raise NotSignedIn(UNKNOWN)
        if not hmac.compare_digest(answer.get("state", "").encode(), asked.state.encode()):
            raise NotSignedIn("This sign-in was not begun here. Begin again.")
        # RFC 9207: an answer that says whose it is must be this provider's.
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:
            raise NotSignedIn("Another provider answered than was asked.")
        if "error" in answer or not answer.get("code"):
            raise NotSignedIn("The identity provider did not sign you in.")
        known = await self._discovered()
        tokens = await self._tokens(known, asked, answer["code"])
        claims = await self._checked(known, tokens.id_token, asked.nonce)
        return _claimed(self.provider, await self._more(known, tokens, claims)), asked.then

    # Speaking with it

    async def _discovered(self) -> _Discovered:
        now = self.clock()
        if self._known is None or now - self._known[0] > _FRESH_MS:
            raw = await self._ask(f"{self.provider.issuer}/.well-known/openid-configuration")
            known: _Discovered = _read(raw, _Discovered)
            if known.issuer.rstrip("/") != self.provider.issuer.rstrip("/"):
                raise NotSignedIn("The identity provider says that it is another one.")
            for place in (known.authorization_endpoint, known.token_endpoint, known.jwks_uri,
                          known.userinfo_endpoint):  # fmt: skip
                if place and not is_private(place):
                    raise NotSignedIn("The identity provider has an address that is not encrypted.")
            self._known = now, known
        return self._known[1]

    async def _tokens(self, known: _Discovered, asked: Asked, code: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": asked.back,
            "code_verifier": asked.verifier,
        }  # fmt: skip
        basic = None
        if self.provider.secret is None:
            form["client_id"] = self.provider.client
        else:
            secret = await asyncio.to_thread(
                read_secret, self.provider.secret, "the client secret of the identity provider"
            )
            ways = known.token_endpoint_auth_methods_supported or ["client_secret_basic"]
            if "client_secret_basic" in ways:
                basic = {"Authorization": _basic(self.provider.client, secret)}
            else:
                form |= {"client_id": self.provider.client, "client_secret": secret}
        raw = await self._ask(known.token_endpoint, form=form, headers=basic)
        tokens: _Tokens = _read(raw, _Tokens)
        return tokens

    async def _checked(self, known: _Discovered, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is of this provider, for us, for this sign-in, and now."""
        for again in (False, True):
            keys = await self._key_set(known, again=again)
            try:
                claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
                jwt.JWTClaimsRegistry(
                    now=self.clock() // 1000,
                    leeway=_LEEWAY_S,
                    iss={"essential": True, "value": known.issuer},
                    aud={"essential": True, "value": self.provider.client},
                    sub={"essential": True},
                    exp={"essential": True},
                    iat={"essential": True},
                    nonce={"essential": True, "value": nonce},
                ).validate(claims)
            except (JoseError, ValueError) as exc:
                if again:
                    raise NotSignedIn(
                        f"What the identity provider says cannot be believed: {type(exc).__name__}."
                    ) from None
                continue  # its keys may be newer than those that we have
            self._refuse_other_parties(claims)
            return dict(claims)
        raise NotSignedIn("What the identity provider says cannot be believed.")

    def _refuse_other_parties(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud")
        others = isinstance(audience, list) and len(audience) > 1
        party = claims.get("azp")
        if (party is not None or others) and party != self.provider.client:
            raise NotSignedIn("The identity provider signed you in for something else.")
        if self.provider.acr and claims.get("acr") not in self.provider.acr:
            raise NotSignedIn("You did not sign in as strongly as the console asks for.")

    async def _more(
        self, known: _Discovered, tokens: _Tokens, claims: dict[str, Any]
    ) -> dict[str, Any]:
        """What the provider says of them elsewhere, where the token leaves something out."""
        wanted = {self.provider.name_claim, *filter(None, [self.provider.roles_claim])}
        if wanted <= claims.keys() or not known.userinfo_endpoint or not tokens.access_token:
            return claims
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        more: dict[str, Any] = _read(
            await self._ask(known.userinfo_endpoint, headers=bearer), dict[str, Any]
        )
        if more.get("sub") != claims.get("sub"):
            raise NotSignedIn("The identity provider speaks of somebody else.")
        return {**more, **claims}

    async def _key_set(self, known: _Discovered, *, again: bool) -> KeySet:
        now = self.clock()
        if self._keys is None or again or now - self._keys[0] > _FRESH_MS:
            found: dict[str, Any] = _read(await self._ask(known.jwks_uri), dict[str, Any])
            try:
                self._keys = now, KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise NotSignedIn("The identity provider's keys cannot be read.") from None
        return self._keys[1]

    async def _ask(
        self,
        place: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Ask it for something; never follows it elsewhere."""
        more = {"Accept": "application/json", **(headers or {})}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request("POST" if form else "GET", place, data=form, headers=more,
                                allow_redirects=False) as answer,
            ):  # fmt: skip
                raw = await at_most(answer.content, _LONGEST)
                if answer.status != 200:
                    raise NotSignedIn(f"The identity provider answered {answer.status}.")
                return raw
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise NotSignedIn(
                f"The identity provider cannot be reached: {type(exc).__name__}."
            ) from None


def _claimed(provider: Provider, claims: Mapping[str, Any]) -> Claimed:
    name = claims.get(provider.name_claim)
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 200:
        raise NotSignedIn(f"The identity provider does not say your {provider.name_claim}.")
    # An address is somebody's name only if the provider has made sure that it is theirs.
    if provider.name_claim == "email" and claims.get("email_verified") is not True:
        raise NotSignedIn("The identity provider has not made sure that your address is yours.")
    full = claims.get("name")
    roles: frozenset[str] | None = None
    if provider.roles_claim:
        given = claims.get(provider.roles_claim)
        said = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        roles = frozenset(provider.roles[one] for one in said
                          if isinstance(one, str) and one in provider.roles)  # fmt: skip
    return Claimed(name=name, full=full[:200] if isinstance(full, str) else name, roles=roles)


def is_private(place: str) -> bool:
    """Say whether nobody on the way can read what goes there: encrypted, or this very machine."""
    parts = urlsplit(place)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        host = parts.hostname or ""
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return parts.scheme == "http" and loopback


def _read(raw: bytes, form: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.MsgspecError:
        raise NotSignedIn("The identity provider's answer cannot be read.") from None


def _basic(client: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both are form-encoded first."""
    pair = f"{_quoted(client)}:{_quoted(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _quoted(text: str) -> str:
    return urlencode({"": text})[1:]


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
