"""A draft of the policy: what is otherwise in it, and what it would have done.

Never shows a word of a message to whoever may not read it: they are given figures.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from bridge.config import read_text
from bridge.console.desk import Here, Said, here, see_other, text_of
from bridge.console.drafts import Draft, Waiting, waiting
from bridge.console.pages.lists import policy_history
from bridge.console.pages.reading import hidden_from
from bridge.console.pages.searching import day_of
from bridge.console.rights import Right
from bridge.console.views import local
from bridge.errors import BridgeError
from bridge.policy import Policy
from bridge.policy.comparing import Changed, FileChange, compare_files, compare_rules
from bridge.policy.corpus import read_corpus
from bridge.policy.load import load
from bridge.policy.replay import Difference, Replayed, Shift, Trial, difference, shifts
from bridge.records.archive import Stack
from bridge.records.conversation import read_inside
from bridge.records.trying import Run
from bridge.store.entries import END, Filter

log = structlog.get_logger(__name__)

#: Examples of each way in which messages would be treated otherwise.
_EXAMPLES = 20
#: Trials of one visit that are remembered.
_MOST = 5
#: How many days a trial goes over unless somebody says otherwise.
_DAYS = 7


@dataclass(frozen=True, slots=True)
class Example:
    """One message that would be treated otherwise."""

    one: Replayed
    #: What was said; empty where it is closed to this person.
    text: str
    #: It is on record, and can be opened.
    is_record: bool


async def show_draft(request: web.Request) -> web.Response:
    """Show one draft, beside what decides."""
    at = here(request)
    found, draft = await _find(at, request)
    return at.page("draft.html", **await _shown(at, found, draft), form=_period(at), errors={})


async def try_draft(request: web.Request) -> web.Response:
    """Begin a trial; it is on record as a look before anything is judged again."""
    at, given = here(request), await request.post()
    found, draft = await _find(at, request)
    form = {name: text_of(given, name, 40) for name in ("over", "from", "to")}
    try:
        run, work = await _begin(at, found, draft, form)
    except Said as exc:
        values = await _shown(at, found, draft)
        return at.page("draft.html", status=400, form=form, errors={"over": str(exc)}, **values)
    kept = at.visit.searches
    own = [name for name, one in kept.items() if isinstance(one, Run)]
    for name in own[: max(0, len(own) - _MOST + 1)]:
        kept.pop(name).stop()
    kept[run.id] = run
    task = asyncio.get_running_loop().run_in_executor(None, work)
    task.add_done_callback(_log_fault)
    return see_other(f"/policies/tried/{run.id}")


def _log_fault(done: asyncio.Future[None]) -> None:
    """Log what a trial failed of: where, and what kind; its words may be a message's."""
    if (fault := done.exception()) is not None:
        log.error("trial.fault", kind=type(fault).__name__)


async def show_tried(request: web.Request) -> web.Response:
    """Show how far a trial is, and what came out."""
    at = here(request)
    run = _run(at, request)
    state = run.state  # its thread goes on while this page is made
    done = state in {"done", "stopped"}
    change = difference(run.found) if done else None
    lists = await _examples(at, run, change) if change is not None else {}
    table: tuple[Shift, ...] = shifts(run.found) if done else ()
    return at.page(
        "tried.html", run=run, state=state, change=change, shifts=table, examples=lists,
        refresh=state == "running", most=_EXAMPLES,
        stricter=sum(one.draft.action > one.now.action for one in run.found) if done else 0,
        milder=sum(one.draft.action < one.now.action for one in run.found) if done else 0,
    )  # fmt: skip


async def stop_trial(request: web.Request) -> web.Response:
    """End a trial that is running; what it judged stays."""
    at = here(request)
    run = _run(at, request)
    run.stop()
    return see_other(f"/policies/tried/{run.id}")


async def _find(at: Here, request: web.Request) -> tuple[Waiting, Draft]:
    found = await at.work(lambda stack: drafts_of(at, stack))
    draft = found.draft(request.match_info["revision"])
    if draft is None:
        raise Said("There is no such draft: it decides by now, or was changed.", 404)
    return found, draft


def drafts_of(at: Here, stack: Stack) -> Waiting:
    """What decides, and which drafts wait."""
    history = policy_history(stack)
    return waiting(at.desk.config, stack, history[0][1] if history else "")


async def _shown(at: Here, found: Waiting, draft: Draft) -> dict[str, Any]:
    rules: tuple[Changed, ...] = ()
    files: tuple[FileChange, ...] = ()
    wrong = ""
    if found.files is not None:
        files = await asyncio.to_thread(compare_files, found.files, draft.files)
    try:
        policy = await asyncio.to_thread(load, draft.files)
        if found.files is not None:
            rules = compare_rules(await asyncio.to_thread(load, found.files), policy)
    except BridgeError as exc:
        wrong = str(exc)
    return {
        "draft": draft, "active": found.active, "known": found.files is not None, "rules": rules,
        "files": files, "wrong": wrong, "two_people": at.desk.config.two_people,
        "sample": bool(at.desk.settings.sample), "can_try": at.desk.trial is not None,
    }  # fmt: skip


def _period(at: Here) -> dict[str, str]:
    now = at.desk.clock()
    first, last = (local(now - days * 86_400_000, at.desk.config.zone) for days in (_DAYS, 0))
    return {"over": "", "from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}


async def _begin(
    at: Here, found: Waiting, draft: Draft, form: Mapping[str, str]
) -> tuple[Run, Callable[[], None]]:
    """Make a trial, and what does its work in a thread of its own.

    Raises:
        Said: it cannot be tried.
    """
    trial = at.desk.trial
    if trial is None:
        raise Said("Drafts cannot be tried on this console.")
    policy = await _loaded(draft.files)
    if form["over"] == "sample":
        return await _over_sample(at, found, draft, policy, trial)
    if form["over"] != "records":
        raise Said("Select what to try the draft over.")
    sight = at.visit.sight
    if sight is None:
        raise Said("Content is closed: unlock a key, or open what was released, to try the draft "
                   "over records.")  # fmt: skip
    start, end = day_of(at, form["from"], 0, 0), day_of(at, form["to"], 1, END)
    if start >= end:
        raise Said("The last day is before the first.")
    said = [f"{name}:{form[name]}" for name in ("from", "to") if form[name]]
    scope = shlex.join([f"draft:{draft.revision[:12]}", *said])
    await at.look(scope, "tried a draft of the policy over records")
    run = Run(id=secrets.token_urlsafe(12), revision=draft.revision, scope=scope)
    archive, conduct = at.desk.archive, at.may(Right.CONDUCT)

    def work() -> None:
        with archive.open(conduct=conduct) as stack:
            run.over_records(stack, sight, Filter(start=start, end=end), lambda: trial(policy))

    return run, work


async def _over_sample(
    at: Here, found: Waiting, draft: Draft, policy: Policy, trial: Callable[[Policy], Trial]
) -> tuple[Run, Callable[[], None]]:
    if not at.desk.settings.sample:
        raise Said("console.yaml names no sample.")
    if found.files is None:
        raise Said("There is no copy here of what decides now, to hold the draft against.")
    now = await _loaded(found.files)
    sample = [
        one
        for path in at.desk.settings.sample
        for one in read_corpus(read_text(path, "the sample"), path.name)
    ]
    scope = shlex.join([f"draft:{draft.revision[:12]}", "sample"])
    await at.look(scope, "tried a draft of the policy over the sample", count=len(sample))
    run = Run(id=secrets.token_urlsafe(12), revision=draft.revision, scope=scope)

    def work() -> None:
        run.over_sample(sample, lambda: trial(now), lambda: trial(policy))

    return run, work


async def _loaded(files: Mapping[str, bytes]) -> Policy:
    try:
        return await asyncio.to_thread(load, files)
    except BridgeError as exc:
        raise Said(f"This draft does not load: {exc}") from None


def _run(at: Here, request: web.Request) -> Run:
    found = at.visit.searches.get(request.match_info["trial"])
    if not isinstance(found, Run):
        raise Said("That trial is over. Begin it again.", 410)
    return found


async def _examples(at: Here, run: Run, change: Difference) -> dict[str, list[Example]]:
    """Some of each list, with what was said where this person may read that."""
    lists = {
        "newly matched": change.newly[:_EXAMPLES],
        "no longer matched": change.no_longer[:_EXAMPLES],
        "treated otherwise": change.otherwise[:_EXAMPLES],
    }
    names = [one.rid for each in lists.values() for one in each]
    if run.texts:
        texts: Mapping[str, str] = run.texts
    elif names and at.may(Right.READ) and at.visit.sight is not None:
        await at.look(run.scope, "read examples of what a draft would do", count=len(names))
        texts = await _texts(at, names)
    else:
        return {}
    return {
        name: [
            Example(one, texts[one.rid], not run.texts) for one in each if one.rid in texts
        ]
        for name, each in lists.items()
    }  # fmt: skip


async def _texts(at: Here, names: list[str]) -> dict[str, str]:
    sight, hide = at.sight(), hidden_from(at)

    def get(stack: Stack) -> dict[str, str]:
        entries = [one for one in stack.index.get(names).values() if not hide(one)]
        found = {}
        for one in sight.open(stack, entries):
            if one.inside is not None:
                content = read_inside(one.inside).content
                body = content.get("body") if isinstance(content, dict) else ""
                found[one.rid] = body if isinstance(body, str) else ""
        return found

    return await at.work(get)
