"""Answers that come in pieces, and answers without end."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.bounded import at_most


async def dribble(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(4):
        await answer.write(b"12345")
        await asyncio.sleep(0.02)
    return answer


@pytest.mark.parametrize(("most", "got"), [(1_000, 20), (20, 20), (12, 12)])
async def test_an_answer_in_pieces_is_read_to_its_end_or_the_limit(most: int, got: int) -> None:
    app = web.Application()
    app.router.add_get("/", dribble)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as answer,
    ):
        assert await at_most(answer.content, most) == (b"12345" * 4)[:got]
