"""Who holds keys of the record and who countersigns it, as config.yaml names them.

Never has a private key: what is written there is public, and pins who is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.nodes import Node
from bridge.verify import Unsound
from bridge.verify.notes import Cosigner, decode64


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """One custodian, as the bot's host knows them: public halves only."""

    name: str
    identity: bytes
    certificates: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """Professional standards, who alone open reports."""

    custody: Custody
    #: Whom officers know them as.
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystander:
    """One witness, as the bot's host knows it."""

    url: str
    key: Cosigner


def custodians(node: Node, folder: Path) -> tuple[Custody, ...]:
    """Read who can open the record, together."""
    found: list[Custody] = []
    for item in node.list():
        one = _custody(item, folder)
        if one.name in {other.name for other in found}:
            item.fail(f"the custodian {one.name!r} is given twice")
        found.append(one)
    if len(found) > 2:
        node.fail("there may be one custodian or two, not more")
    return tuple(found)


def reviewers(top: Mapping[str, Node], folder: Path) -> Custody | None:
    """Read who opens flagged messages alone; None for nobody."""
    if "reviewers" not in top:
        return None
    found = _custody(top["reviewers"], folder)
    if found in custodians(top["custodians"], folder):
        top["reviewers"].fail("the reviewers need a vault of their own, not a custodian's")
    return found


def standards(top: Mapping[str, Node], folder: Path) -> Standards | None:
    """Read to whom alone reports are sealed; None where none can be made."""
    if "professional_standards" not in top:
        return None
    node = top["professional_standards"]
    got = node.mapping(required=("name", "identity", "certificates", "team"))
    found = _held(got, folder)
    others = [*custodians(top["custodians"], folder), reviewers(top, folder)]
    if any(one is not None and found.identity == one.identity for one in others):
        node.fail("professional standards need a vault of their own, which nobody else opens")
    return Standards(custody=found, team=got["team"].text())


def _custody(node: Node, folder: Path) -> Custody:
    return _held(node.mapping(required=("name", "identity", "certificates")), folder)


def _held(got: Mapping[str, Node], folder: Path) -> Custody:
    try:
        identity = decode64(got["identity"].text())
    except Unsound as exc:
        got["identity"].fail(str(exc))
    if len(identity) != 32:
        got["identity"].fail("this is not an identity as 'bluelamp keys init' prints it")
    certificates = folder / got["certificates"].text()
    return Custody(name=got["name"].text(), identity=identity, certificates=certificates)


def witnesses(node: Node | None) -> tuple[Bystander, ...]:
    """Read whom checkpoints are shown to."""
    found: list[Bystander] = []
    for item in node.list(empty=True) if node else ():
        got = item.mapping(required=("url", "key"))
        url = got["url"].text().rstrip("/")
        if not url.startswith(("http://", "https://")):
            got["url"].fail(f"{url!r} is not an address such as https://witness.force.example")
        try:
            key = Cosigner.parse(got["key"].text())
        except Unsound as exc:
            got["key"].fail(f"{exc}; 'bluelamp witness' prints it when it starts")
        if key.name in {one.key.name for one in found}:
            got["key"].fail(f"the witness {key.name!r} is given twice")
        found.append(Bystander(url=url, key=key))
    return tuple(found)
