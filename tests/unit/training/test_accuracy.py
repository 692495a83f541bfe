"""Holds docs/accuracy.md to what was measured, and that to the model that is shipped."""

from __future__ import annotations

import json
import re

import pytest

from bridge.understand.shipped import SHIPPED
from training.tables import DOCUMENT, MAKERS, RESULTS, percent, renewed

TOLD = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_has_every_table_as_it_was_measured() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(page, TOLD) == page
    assert all(f"<!-- table: {name} -->" in page for name in MAKERS)


def test_a_figure_that_changes_changes_the_page() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    told = json.loads(json.dumps(TOLD))
    told["held"]["at"]["2%"]["operational"]["operational"]["share"] = 0.1234
    assert "12.3" in renewed(page, told)
    assert renewed(page, told) != page


def test_what_was_measured_is_what_is_shipped() -> None:
    manifest = json.loads((SHIPPED / "model.json").read_text(encoding="utf-8"))
    assert TOLD["model"] == manifest["files"]["model.onnx"]
    assert TOLD["corpus"] == manifest["corpus"]
    for head in ("operational", "concern"):
        found = TOLD["held"]["at"]["2%"][head][head]
        assert manifest["figures"][f"{head} found at 2%"] == pytest.approx(found)


def test_the_card_tells_the_same_figures() -> None:
    card = (SHIPPED / "CARD.md").read_text(encoding="utf-8")
    found = TOLD["held"]["at"]["2%"]["operational"]["operational"]
    assert f"{percent(found['share'])} %" in card


def test_the_model_was_measured_on_messages_that_it_did_not_learn_from() -> None:
    log = (SHIPPED / "training.log").read_text(encoding="utf-8")
    assert f"corpus {TOLD['corpus']}" in log
    assert TOLD["held"]["messages"] > 1_500


def test_what_is_shipped_is_small_and_names_no_machine() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 16_000_000
    for path in SHIPPED.iterdir():
        if path.suffix in {".md", ".log", ".json"}:
            text = path.read_text(encoding="utf-8")
            assert not re.findall(r"(?<![\w.])/(?:tmp|home|root|work|Users)/", text)


def test_the_picture_fetches_nothing() -> None:
    picture = RESULTS.with_suffix(".svg").read_text(encoding="utf-8")
    assert picture.count("://") == 1
    assert "www.w3.org/2000/svg" in picture
