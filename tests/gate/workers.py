"""A Synapse of several processes: PostgreSQL, Redis, a main process and workers, behind one door.

Everything is found by its name, listens on sockets of a folder or on loopback, and is stopped by
its process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from yarl import URL

from bridge.demo.homeserver import Homeserver
from bridge.demo.stage import gate_module
from tests.gate.ports import free_port

REDIS = shutil.which("redis-server")
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
INITDB = shutil.which("initdb", path=os.pathsep.join(str(one.parent) for one in _POSTGRES[-1:]))
#: A member's message comes by whichever worker is next; sync and the rest by the main process.
_BY_WORKER = re.compile(r"/_matrix/client/v3/rooms/[^/]+/(send|redact|state)/")


def needed() -> None:
    """Skip, or fail where the parts have to be there.

    Raises:
        pytest.skip.Exception: Redis or PostgreSQL is not installed.
    """
    parts = {"redis-server": REDIS, "postgresql": INITDB}
    missing = [name for name, there in parts.items() if not there]
    if missing:
        said = f"{' and '.join(missing)} are not installed: apt-get install {' '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


@contextlib.contextmanager
def run(command: list[str], log: Path, up: Callable[[], bool], **more: Any) -> Iterator[None]:
    """Run *command* until the end of the block; it is there when it is *up*."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            **more,
        )
    try:
        deadline = time.monotonic() + 180
        while not up():
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgres() -> Iterator[Path]:
    """Run PostgreSQL on a socket of the folder that is given; its user and database: synapse."""
    assert INITDB is not None
    who: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="bluelamp-pg-"))
    try:
        if who:  # it refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
        subprocess.run(
            [INITDB, "-D", str(folder / "data"), "--locale=C", "--encoding=UTF8", "--auth=trust",
             "--username=synapse", "--no-sync"],
            check=True, capture_output=True, cwd=folder, **who,
        )  # fmt: skip
        command = [str(Path(INITDB).with_name("postgres")), "-D", str(folder / "data"),
                   "-k", str(folder), "-h", "", "-F"]  # fmt: skip
        ready = [str(Path(INITDB).with_name("pg_isready")), "-q", "-h", str(folder)]

        def up() -> bool:
            return subprocess.run(ready, check=False).returncode == 0

        with run(command, folder.parent / f"{folder.name}.log", up, cwd=folder, **who):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.joinpath(f"{folder.name}.log").unlink(missing_ok=True)


class Workers(Homeserver):
    """A homeserver of a main process and workers, each with the module, and one address."""

    def __init__(self, folder: Path, database: Path, names: tuple[str, ...]) -> None:
        self.folder, self.names = folder, names
        self.main, self.door = free_port(), free_port()
        self.ports = {name: free_port() for name in names}
        self._sockets = Path(tempfile.mkdtemp(prefix="bluelamp-hs-"))
        settings = {
            "listeners": [
                {"port": self.main, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": False,
                 "resources": [{"names": ["client"], "compress": False}]},
                {"path": str(self._sockets / "main"), "type": "http",
                 "resources": [{"names": ["replication"]}]},
            ],
            "database": {"name": "psycopg2", "args": {
                "user": "synapse", "dbname": "postgres", "host": str(database),
                "cp_min": 1, "cp_max": 4}},
            "redis": {"enabled": True, "path": str(self._sockets / "redis")},
            "instance_map": {"main": {"path": str(self._sockets / "main")}},
            "worker_replication_secret": secrets.token_urlsafe(16),
            "modules": [gate_module(folder, 5_000)],
        }  # fmt: skip
        super().__init__(folder / "homeserver", port=self.main, settings=settings)

    @property
    def url(self) -> str:
        """The address of the door in front of all of them."""
        return f"http://127.0.0.1:{self.door}"

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[Workers]:
        """Run Redis, the main process, the workers, and the door."""
        with contextlib.ExitStack() as parts:
            parts.callback(shutil.rmtree, self._sockets, ignore_errors=True)
            await asyncio.to_thread(parts.enter_context, self._redis())
            await asyncio.to_thread(self.start)
            parts.callback(self.stop)
            for name, port in self.ports.items():
                await asyncio.to_thread(parts.enter_context, self._worker(name, port))
            async with self._doorman():
                yield self

    @contextlib.contextmanager
    def _redis(self) -> Iterator[None]:
        assert REDIS is not None
        path = self._sockets / "redis"
        command = [REDIS, "--port", "0", "--unixsocket", str(path), "--save", "",
                   "--dir", str(self._sockets)]  # fmt: skip
        with run(command, self.folder / "redis.log", path.exists):
            yield

    @contextlib.contextmanager
    def _worker(self, name: str, port: int) -> Iterator[None]:
        sheet = {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": name,
            "worker_log_config": str(self.directory / "log.yaml"),
            "worker_listeners": [
                {"port": port, "bind_addresses": ["127.0.0.1"], "type": "http",
                 "resources": [{"names": ["client"], "compress": False}]}
            ],
        }  # fmt: skip
        path = self.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(sheet))
        command = [sys.executable, "-m", "synapse.app.generic_worker",
                   "-c", str(self.directory / "homeserver.yaml"), "-c", str(path)]  # fmt: skip

        def up() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        with run(command, self.log_of(name), up, cwd=self.directory):
            yield

    def log_of(self, name: str) -> Path:
        """Where a worker writes."""
        return self.directory / f"{name}.log"

    @contextlib.asynccontextmanager
    async def _doorman(self) -> AsyncIterator[None]:
        turns = itertools.cycle(self.ports.values())
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:

            async def pass_on(request: web.Request) -> web.Response:
                by_worker = request.method != "GET" and _BY_WORKER.match(request.path)
                port = next(turns) if by_worker else self.main
                headers = {name: value for name, value in request.headers.items()
                           if name.lower() in {"authorization", "content-type"}}  # fmt: skip
                address = URL(f"http://127.0.0.1:{port}{request.raw_path}", encoded=True)
                async with session.request(
                    request.method, address, data=await request.read(), headers=headers
                ) as answer:
                    body = await answer.read()
                    kind = answer.headers.get("Content-Type", "application/json")
                    return web.Response(
                        body=body, status=answer.status, headers={"Content-Type": kind}
                    )

            app = web.Application(client_max_size=2**27)
            app.router.add_route("*", "/{rest:.*}", pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", self.door).start()
                yield
            finally:
                await runner.cleanup()
