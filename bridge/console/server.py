"""Puts the console together and answers, until it is told to stop.

Never serves a page that `rights.PAGES` does not list, and has no route that shows its insides.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from aiohttp import web

from bridge.config import Config
from bridge.console import guard
from bridge.console.accounts import Accounts
from bridge.console.desk import DESK, Desk
from bridge.console.guard import Handler
from bridge.console.pages import (
    acknowledging,
    asking,
    conversation,
    drafting,
    handing,
    home,
    keys,
    lists,
    looked,
    overseeing,
    person,
    providing,
    reading,
    referrals,
    searching,
    signing,
    starting,
)
from bridge.console.provider import SignIns
from bridge.console.rights import PAGES
from bridge.console.sessions import Sessions, Throttle
from bridge.console.settings import Settings
from bridge.console.views import environment
from bridge.errors import ConfigError
from bridge.policy import Policy
from bridge.policy.replay import Trial
from bridge.ports import Clock
from bridge.records.archive import Archive
from bridge.records.consult import Recorder
from bridge.store.directions import Directions

STATIC = Path(__file__).with_name("static")
#: No form is longer than this, bytes.
LONGEST_FORM = 64 * 1024
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

#: (method, path) → who answers.
_HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "/sign-in"): signing.show_sign_in,
    ("POST", "/sign-in"): signing.sign_in,
    ("GET", "/sign-in/provider"): providing.go,
    ("GET", "/sign-in/provider/back"): providing.come_back,
    ("GET", "/enrol"): signing.show_enrol,
    ("POST", "/enrol"): signing.enrol,
    ("GET", "/enrol/second-factor"): signing.show_second_factor,
    ("POST", "/enrol/second-factor"): signing.second_factor,
    ("POST", "/sign-out"): signing.sign_out,
    ("POST", "/stay"): signing.stay,
    ("GET", "/start"): starting.show_start,
    ("POST", "/start"): starting.start,
    ("GET", "/"): home.show,
    ("GET", "/keys"): keys.show,
    ("POST", "/keys/unlock"): keys.unlock,
    ("POST", "/keys/lock"): keys.lock,
    ("GET", "/keys/ask"): asking.show_ask,
    ("POST", "/keys/ask"): asking.ask,
    ("GET", "/keys/requests/{request}"): asking.show_request,
    ("POST", "/keys/requests/{request}"): asking.answer,
    ("POST", "/keys/requests/{request}/use"): asking.use,
    ("GET", "/search"): searching.show,
    ("POST", "/search"): searching.search,
    ("GET", "/search/{search}"): searching.results,
    ("POST", "/search/{search}/stop"): searching.stop,
    ("POST", "/search/{search}/export"): handing.export,
    ("GET", "/rooms"): lists.rooms,
    ("GET", "/drift"): overseeing.drift,
    ("GET", "/rooms/{room}"): lists.room,
    ("GET", "/rooms/{room}/conversation"): conversation.show_conversation,
    ("POST", "/rooms/{room}/export"): handing.export_conversation,
    ("GET", "/records/{rid}"): reading.show_record,
    ("GET", "/records/{rid}/proof"): reading.show_proof,
    ("POST", "/records/{rid}/file"): reading.get_file,
    ("GET", "/referrals"): referrals.show,
    ("GET", "/conduct"): referrals.show_conduct,
    ("GET", "/referrals/{rid}"): referrals.show_one,
    ("POST", "/referrals/{rid}"): referrals.decide,
    ("GET", "/referrals/{rid}/reveal"): referrals.show_card,
    ("POST", "/referrals/{rid}/reveal"): referrals.reveal,
    ("GET", "/retention"): lists.show_retention,
    ("GET", "/disposals"): overseeing.disposals,
    ("POST", "/disposals/decide"): overseeing.decide,
    ("POST", "/retention/holds"): lists.add_hold,
    ("POST", "/retention/holds/{hold}/release"): lists.release_hold,
    ("GET", "/policies"): lists.policies,
    ("GET", "/policies/drafts/{revision}"): drafting.show_draft,
    ("POST", "/policies/drafts/{revision}/try"): drafting.try_draft,
    ("GET", "/policies/tried/{trial}"): drafting.show_tried,
    ("POST", "/policies/tried/{trial}/stop"): drafting.stop_trial,
    ("GET", "/acknowledgements"): acknowledging.show,
    ("GET", "/acknowledgements/{room}"): acknowledging.show_room,
    ("GET", "/subject"): person.show_subject,
    ("POST", "/subject"): person.subject,
    ("GET", "/subject/{search}"): person.show_found,
    ("GET", "/looked"): looked.show,
    ("POST", "/looked"): looked.choose,
    ("POST", "/looked/export"): looked.export,
    ("GET", "/accounts"): lists.accounts,
    ("POST", "/accounts/{name}/sign-out"): lists.sign_out,
}


def assets() -> Mapping[str, Path]:
    """The styles and scripts, by the name that they are asked for.

    Raises:
        ConfigError: they were not built.
    """
    if not (STATIC / "console.css").exists():
        raise ConfigError(
            str(STATIC), None,
            "the console's styles are not built: run 'make console-assets', which needs npm",
        )  # fmt: skip
    return {
        path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()
    }


def desk(
    config: Config,
    settings: Settings,
    clock: Clock,
    *,
    trial: Callable[[Policy], Trial] | None = None,
) -> Desk:
    """Everything that pages are made with; *trial* has drafts of the policy tried."""
    made: Desk

    def people() -> object:
        return made.register()[1]

    templates = environment(config, people, _version(assets()))  # type: ignore[arg-type]
    made = Desk(
        config=config,
        settings=settings,
        clock=clock,
        archive=Archive(config, settings.state / "index.db"),
        recorder=Recorder(config, clock),
        accounts=Accounts(settings.state / "auditors"),
        sessions=Sessions(
            clock, idle_minutes=settings.idle_minutes, longest_hours=settings.longest_hours
        ),
        throttle=Throttle(clock),
        templates=templates,
        directions=Directions(config.ledger),
        trial=trial,
        sign_ins=SignIns(settings.provider, clock) if settings.provider else None,
    )
    return made


def application(made: Desk) -> web.Application:
    """Put the pages together: those that are listed and have somebody to answer, and no others."""
    app = web.Application(middlewares=[guard.guard], client_max_size=LONGEST_FORM)
    app[DESK] = made
    static = assets()

    async def asset(request: web.Request) -> web.Response:
        prefix = "images/" if "/images/" in request.path else ""
        path = static.get(prefix + request.match_info["name"])
        if path is None or path.suffix not in _TYPES:
            raise web.HTTPNotFound
        response = web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix])
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response

    handlers = {
        **_HANDLERS,
        ("GET", "/static/{name}"): asset,
        ("GET", "/static/images/{name}"): asset,
    }
    if unlisted := handlers.keys() ^ PAGES.keys():
        raise ConfigError(
            "rights.py", None, f"these pages are listed or answered alone: {unlisted}"
        )
    for (method, path), handler in handlers.items():
        app.router.add_route(method, path, handler)
    return app


@contextlib.asynccontextmanager
async def listening(made: Desk) -> AsyncIterator[str]:
    """Answer where the settings say; yields the address.

    Raises:
        ConfigError: the place cannot be used.
    """
    settings = made.settings
    runner = web.AppRunner(application(made), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=_tls(settings))
        try:
            await site.start()
        except OSError as exc:
            why = f"cannot listen here: {exc.strerror or exc}"
            raise ConfigError(f"{settings.host}:{settings.port}", None, why) from None
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        scheme = "https" if settings.certificate else "http"
        yield settings.url or f"{scheme}://{shown}:{bound[1]}"
    finally:
        made.sessions.close()
        await runner.cleanup()
        await made.recorder.close()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(str(settings.certificate), None, f"this cannot be used: {exc}") from None
    return context


def _version(files: Mapping[str, Path]) -> str:
    """A name for these very styles and scripts, so that browsers do not keep older ones."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(files[name].read_bytes())
    return digest.hexdigest()[:12]
