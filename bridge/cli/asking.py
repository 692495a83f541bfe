"""How commands that write reach the one writer: the running bot, or else the store itself.

Never writes beside a bot that runs: the store's lock sees to that.
"""

from __future__ import annotations

import asyncio

import typer
from rich.progress import Progress

from bridge.cli.common import err, out
from bridge.config import Config
from bridge.model import Ms
from bridge.running import app, control, drafts
from bridge.running.orders import Orders
from bridge.store.sqlite import SqliteStore


def give_order(config: Config, order: control.Order) -> control.Answer:
    """Have it done and say what became of it; exits with 3 if it could not be."""
    answer = asyncio.run(_ask(config, order))
    if answer.text:
        (out if answer.ok else err).print(answer.text)
    if not answer.ok:
        raise typer.Exit(3)
    return answer


async def _ask(config: Config, order: control.Order) -> control.Answer:
    """Have the running bot do it; if none runs, write to the store ourselves."""
    answer = await control.ask(config.socket, order)
    if answer is not None:
        return answer
    parts = app.check(config)
    store = SqliteStore(config.ledger, parts.identity, app.now, anchor=config.anchor)
    try:
        roster = drafts.roster(config, parts.people, store, app.now)
        desk = drafts.desk(config, parts.policy, roster, store, app.now)
        orders = Orders(
            store=store,
            settler=None,
            rooms=parts.rooms,
            clock=app.now,
            zone=config.zone,
            incident_ms=Ms(config.incident_hours * 3_600_000),
            desk=desk,
        )
        answer = await orders.obey(order)
        await _tidy(store)
        await store.checkpoint()
    finally:
        await store.close()
    if not answer.text:
        return answer
    if order.do == "policy" and drafts.is_draft(config):
        text = (
            "The bot is not running, and would not start: no policy is active yet. Two policy "
            f"officers have to approve the draft ('bluelamp policy activate'):\n{answer.text}"
        )
    elif order.do == "policy":
        text = f"The bot is not running; it would start with:\n{answer.text}"
    else:
        text = f"The bot is not running; for when it does: {answer.text}"
    return control.Answer(ok=answer.ok, text=text)


async def _tidy(store: SqliteStore) -> None:
    if not await store.tidy():
        return
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        bar.add_task("deleting what is disposed of", total=None)
        while await store.tidy():
            pass
