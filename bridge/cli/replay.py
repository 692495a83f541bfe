"""`bluelamp policy replay`: what a draft would have decided over records that custodians open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphrasesOption, open_safes
from bridge.cli.reading import (
    CaseOption,
    Ground,
    PurposeOption,
    SharesOption,
    VaultsOption,
    asked_for,
    record_look,
    with_custodians,
)
from bridge.config import Config, load_policies
from bridge.drafts import find_policies
from bridge.matrix import translate
from bridge.model import JUDGED, Action, Message, Rid, RoomClass, RoomId
from bridge.policy import Policy
from bridge.policy.hints import Hints
from bridge.policy.replay import Difference, Replayed, Way, difference
from bridge.records.reading import opened
from bridge.verify.headers import Header, Kind

_MESSAGES = frozenset({Kind.MESSAGE, Kind.LATE})
_LISTED = 50


@dataclass(slots=True, kw_only=True)
class _Replay:
    """Judges messages again, and holds no more of them than how that came out."""

    config: Config
    policy: Policy
    hints: Hints = field(default_factory=Hints)
    drafts: dict[str, Way] = field(default_factory=dict)
    decided: dict[str, Way] = field(default_factory=dict)
    closed: int = 0

    def take(self, header: Header, body: bytes | None) -> None:
        """Take in one record: a message to judge, or what was decided about one."""
        if "action" in header:
            about = str(header["ref"] if header["kind"] == Kind.VERDICT else header["rid"])
            rule = str(header["rule"]) if "rule" in header else None
            self.decided[about] = Way(Action[str(header["action"]).upper()], rule)
        if header["kind"] not in _MESSAGES or str(header["class"]) not in JUDGED:
            return
        if body is None:
            self.closed += 1
            return
        message = _message(msgspec.json.decode(body))
        if message.sender == self.config.user:
            return
        rid = Rid(str(header["rid"]))
        cls = RoomClass(str(header["class"]))
        verdict = self.policy.judge(message, cls, hints=self.hints.of(message))
        self.hints.note(message, rid, verdict, self.policy.memory)
        self.drafts[rid] = Way(verdict.action, verdict.rule)

    def found(self) -> Iterable[Replayed]:
        """Every message, as it was treated and as it would have been."""
        nothing = Way(Action.ALLOW, None)
        for rid, draft in self.drafts.items():
            yield Replayed(rid, self.decided.get(rid, nothing), draft)


def _message(inside: dict[str, Any]) -> Message:
    event = {**inside, "origin_server_ts": inside["sent_at"]}
    return translate.plain(RoomId(str(inside["room"])), event)


def replay(
    context: typer.Context,
    since: Annotated[str, typer.Option("--from", help="A day or time such as 2026-11-22.")],
    purpose: PurposeOption,
    vault: VaultsOption = None,
    share: SharesOption = None,
    config: ConfigOption = None,
    until: Annotated[str, typer.Option("--to", help="The last day, or a time.")] = "",
    case: CaseOption = "",
    policies: Annotated[
        str | None,
        typer.Option(help="A folder or digest of the draft, instead of the configured folder."),
    ] = None,
    passphrase_file: PassphrasesOption = None,
) -> None:
    """Say what a draft would have decided over records. It is recorded as a look beforehand."""
    loaded = configuration(context, config)
    draft = load_policies(loaded.policies) if policies is None else find_policies(loaded, policies)
    scope = f"from:{since}" + (f" to:{until}" if until else "")
    asked = asked_for(loaded, scope, purpose, case)
    safes = open_safes(vault or [], share or [], passphrase_file or [])
    means = with_custodians(loaded, safes, Ground.CUSTODIANS)
    look = record_look(loaded, asked, means)
    again = _Replay(config=loaded, policy=draft)
    kinds = {*_MESSAGES, Kind.VERDICT}
    for header, body in opened(
        loaded, means.reader, asked.scope, only=lambda header: header["kind"] in kinds
    ):
        again.take(header, body)
    _show(difference(again.found()), draft)
    err.print(f"This look is recorded as {look}.")
    if again.closed:
        err.print(f"{again.closed} messages do not open with these keys.", style="yellow")
        raise typer.Exit(2)


def _show(found: Difference, draft: Policy) -> None:
    table = Table(title=f"{found.messages} messages, draft {draft.revision[:12]}")
    for name in ("rule", "now", "draft"):
        table.add_column(name, justify="left" if name == "rule" else "right", overflow="fold")
    for line in found.lines:
        table.add_row(line.rule, str(line.now), str(line.draft))
    out.print(table)
    for what, which in (
        ("newly matched", found.newly),
        ("no longer matched", found.no_longer),
        ("treated otherwise", found.otherwise),
    ):
        out.print(f"{what}: {len(which) or 'none'}")
        for one in which[:_LISTED]:
            out.print(
                f"  {one.rid}  {one.now.action.name.lower()} → {one.draft.action.name.lower()}  "
                f"{one.draft.rule or one.now.rule}",
                markup=False,
            )
        if len(which) > _LISTED:
            out.print(f"  and {len(which) - _LISTED} more")
