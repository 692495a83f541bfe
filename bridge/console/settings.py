"""console.yaml, read strictly; without one, what fits a machine that serves only itself.

Never goes on with a key that it does not know, and never listens to others without encryption.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config import Config, read_text
from bridge.errors import ConfigError
from bridge.nodes import Node, parse
from bridge.register import ROLES

_LISTEN = "127.0.0.1:8790"
PURPOSES = (
    "Audit of how rooms are used",
    "Appeal or referral",
    "Conduct or complaint enquiry",
    "Criminal investigation or disclosure",
    "Subject access or freedom of information",
    "Check that the record is complete and secure",
)


#: What a provider is asked to say of somebody, and the claim that has their console sign-in.
_SCOPES, _NAME_CLAIM = ("openid", "profile"), "preferred_username"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A force's identity provider: who may sign in with it, and as what."""

    issuer: str
    client: str
    #: The file with the client's secret; None for a client that has none, and PKCE alone.
    secret: Path | None
    #: What the button says.
    name: str
    scopes: tuple[str, ...]
    #: The claim that has the console sign-in.
    name_claim: str
    #: The claim that has roles, and what its values mean; empty where people.csv has them.
    roles_claim: str
    roles: Mapping[str, str]
    #: How strongly somebody must have signed in there, as the provider names it; empty for any.
    acr: tuple[str, ...]
    #: Nobody signs in with a passphrase.
    only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What console.yaml says. Paths are absolute: relative ones count from its folder."""

    host: str
    port: int
    #: As browsers know it, without a slash at the end; empty for the place where it listens.
    url: str
    certificate: Path | None
    key: Path | None
    #: Accounts and the index.
    state: Path
    purposes: tuple[str, ...]
    #: Purposes whose looks only the independent log reader sees.
    restricted: tuple[str, ...]
    #: Without a click for so long, or signed in for so long: sign in again.
    idle_minutes: int
    longest_hours: int
    #: Custodian (or the reviewers) → their vault file on this machine.
    vaults: Mapping[str, Path]
    #: Labelled messages over which a draft of the policy can be tried without any key.
    sample: tuple[Path, ...] = ()
    #: Proxies in front of the console, which say whose requests they pass on.
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    #: None where everybody signs in with a passphrase and a second factor.
    provider: Provider | None = None


def load_settings(path: Path | None, config: Config) -> Settings:
    """Read console.yaml, at *path* or beside the configuration.

    Raises:
        ConfigError: something in it is wrong, with its line.
    """
    file = path or config.path.absolute().with_name("console.yaml")
    folder = file.absolute().parent
    if path is None and not file.exists():
        return _settings({}, folder, config, str(file))
    top = parse(read_text(file, "the console's settings"), str(file)).mapping(
        optional=("listen", "url", "certificate", "key", "state", "purposes", "restricted",
                  "session", "vaults", "provider", "sample", "proxies")
    )  # fmt: skip
    return _settings(top, folder, config, str(file))


def _settings(top: Mapping[str, Node], folder: Path, config: Config, source: str) -> Settings:
    host, port = _place(top.get("listen"), source)
    session = (
        top["session"].mapping(optional=("idle_minutes", "longest_hours"))
        if "session" in top
        else {}
    )
    purposes = top["purposes"].texts() if "purposes" in top else PURPOSES
    restricted = top["restricted"].texts() if "restricted" in top else ()
    for one in restricted:
        if one not in purposes:
            top["restricted"].fail(f"{one!r} is not one of the purposes")
    if ("certificate" in top) != ("key" in top):
        raise ConfigError(source, None, "give both a certificate and its key, or neither")
    if "certificate" not in top and not _is_loopback(host):
        raise ConfigError(
            source, None,
            f"{host} is not this machine alone: give a certificate and a key, or listen on "
            "127.0.0.1 behind a proxy that has them",
        )  # fmt: skip
    state = (
        folder / top["state"].text()
        if "state" in top
        else config.path.absolute().parent / "console"
    )
    return Settings(
        host=host,
        port=port,
        url=_url(top.get("url")),
        certificate=folder / top["certificate"].text() if "certificate" in top else None,
        key=folder / top["key"].text() if "key" in top else None,
        state=state,
        purposes=tuple(purposes),
        restricted=tuple(restricted),
        idle_minutes=_number(session, "idle_minutes", 20, 240),
        longest_hours=_number(session, "longest_hours", 10, 24),
        vaults={name: folder / node.text() for name, node in top["vaults"].items()}
        if "vaults" in top
        else {},
        sample=tuple(folder / name for name in top["sample"].texts()) if "sample" in top else (),
        proxies=_networks(top["proxies"]) if "proxies" in top else (),
        provider=_provider(top["provider"], folder) if "provider" in top else None,
    )


def _provider(node: Node, folder: Path) -> Provider:
    got = node.mapping(
        required=("issuer", "client"),
        optional=("secret_file", "name", "scopes", "name_claim", "roles_claim", "roles", "acr",
                  "only"),
    )  # fmt: skip
    issuer = got["issuer"].text().rstrip("/")
    parts = urlsplit(issuer)
    if parts.query or parts.fragment or not parts.hostname or (
        parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname))
    ):  # fmt: skip
        got["issuer"].fail(f"{issuer!r} is not an address such as https://id.force.example")
    if ("roles_claim" in got) != ("roles" in got):
        node.fail("give both a claim that has roles and what its values mean, or neither")
    roles = {value: one.text() for value, one in got["roles"].items()} if "roles" in got else {}
    for value, role in roles.items():
        if role not in ROLES:
            got["roles"].fail(f"{value!r} means {role!r}, which is no role")
    return Provider(
        issuer=issuer,
        client=got["client"].text(),
        secret=folder / got["secret_file"].text() if "secret_file" in got else None,
        name=got["name"].text() if "name" in got else "your force account",
        scopes=tuple(dict.fromkeys(("openid", *got["scopes"].texts())))
        if "scopes" in got
        else _SCOPES,
        name_claim=got["name_claim"].text() if "name_claim" in got else _NAME_CLAIM,
        roles_claim=got["roles_claim"].text() if "roles_claim" in got else "",
        roles=roles,
        acr=tuple(got["acr"].texts()) if "acr" in got else (),
        only=got["only"].boolean() if "only" in got else False,
    )


def _number(session: Mapping[str, Node], name: str, default: int, most: int) -> int:
    return session[name].integer(least=1, most=most) if name in session else default


def _place(node: Node | None, source: str) -> tuple[str, int]:
    text = node.text() if node else _LISTEN
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(source, None, f"{text!r} is not a place to listen such as {_LISTEN}")
    return host.strip("[]"), int(port)


def _networks(node: Node) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    found = []
    for text in node.texts():
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            node.fail(f"{text!r} is not an address or a network such as 127.0.0.1 or 10.0.0.0/8")
    return tuple(found)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(node: Node | None) -> str:
    if node is None:
        return ""
    text = node.text().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http"} or not parts.netloc or parts.path or parts.query:
        node.fail(f"{text!r} is not an address such as https://console.force.example")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        node.fail("browsers have to reach the console over https")
    return text
