"""A real OpenID Connect provider: the npm package oidc-provider, in a Node of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.foreign.conftest import _node

HERE = Path(__file__).parent
_HOW = "run `make provider` (npm ci in tests/provider)"


def node_or_skip() -> Path:
    """Find Node and the provider, or say what is not there: a failure where CI is true."""
    node = _node()
    missing = ""
    if node is None:
        missing = f"there is no Node; {_HOW}"
    elif not (HERE / "node_modules" / "oidc-provider" / "package.json").exists():
        missing = f"oidc-provider is not installed; {_HOW}"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    if missing or node is None:
        pytest.skip(missing)
    return node


@contextmanager
def providing() -> Iterator[str]:
    """Run a provider that sends people back to this machine; yields its issuer."""
    node = node_or_skip()
    command = [str(node), str(HERE / "provider.mjs"), "/sign-in/provider/back"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            issuer = process.stdout.readline().strip() if process.stdout is not None else ""
            if not issuer:
                pytest.fail("the provider did not start", pytrace=False)
            yield issuer
        finally:
            process.kill()
