"""The tables of docs/accuracy.md, from benchmarks/results/accuracy.json.

Never writes a figure that is not in that file; tests hold the document to it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent
DOCUMENT = TOP / "docs" / "accuracy.md"
RESULTS = TOP / "benchmarks" / "results" / "accuracy.json"
_SHARES = ("0.5 %", "2 %", "5 %", "10 %")
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(document: str, told: Mapping[str, Any]) -> str:
    """Give *document* with every table made anew from what was measured."""

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}\n{MAKERS[found[2]](told)}\n\n{found[3]}"

    return _MARKED.sub(made, document)


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [" | ".join(head), "|".join(["---", *["---:"] * (len(head) - 1)])]
    lines += [" | ".join(row) for row in rows]
    return "\n".join(f"| {line} |" if at != 1 else f"|{line}|" for at, line in enumerate(lines))


def percent(share: float) -> str:
    """Give a share in per cent."""
    return f"{100 * share:.1f}"


def _share(one: Mapping[str, Any]) -> str:
    return f"{percent(one['share'])} ({percent(one['low'])} to {percent(one['high'])})"


def _rivals(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for one in told["rivals"]:
            operational, concern = one["operational"], one["concern"]
            size = f"{one['bytes'] / 1_000_000:.1f}"
            figures = [*(f"{found:.2f}" for found in operational), f"{concern[1]:.2f}"]
            figures += [f"{found:.2f}" for found in one["other writers"][1:3]]
            yield (one["name"], *figures, size, f"{one['ms']:g}")

    return _table(
        ("judge", *_SHARES, "concern, 2 %", "others, 2 %", "others, 5 %", "MB", "ms"), rows()
    )


def _at(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        at = told["held"]["at"]
        for name in at["2%"]["operational"]:
            cells = [_share(at[limit]["operational"][name]) for limit in ("2%", "0.5%")]
            of = str(at["2%"]["operational"][name]["n"])
            yield (name, of, *cells, _share(at["2%"]["concern"][name]))

    head = ("messages", "of", "operational at 2 %", "operational at 0.5 %", "concern at 2 %")
    return _table(head, rows())


def _decided(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        rules, both = told["decided"]["rules"], told["decided"]["rules and model"]
        for name, one in rules.items():
            yield (name, str(one["n"]), _share(one), _share(both[name]))

    return _table(("in a social room", "of", "rules alone", "rules and model"), rows())


def _curve(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        curves = told["held"]["curve"]
        for one, other in zip(curves["operational"], curves["concern"], strict=True):
            yield (f"{100 * one['flagged']:g} %", _share(one), _share(other))

    return _table(("hard social flagged", "operational found", "concern found"), rows())


def _kinds(told: Mapping[str, Any], label: str) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for name, one in told["held"]["kinds"][label].items():
            yield (name, str(one["n"]), _share(one))

    return _table(("kind", "of", "flagged"), rows())


def _groups(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for what in ("units", "hands"):
            for name, one in told["held"][what].items():
                called = name if what == "units" else f"hand {name}"
                found, wrong = one["found"], one["wrong"]
                yield (called, str(found["n"]), _share(found), str(wrong["n"]), _share(wrong))

    head = ("", "operational", "found", "hard social", "flagged")
    return _table(head, rows())


def _reliability(told: Mapping[str, Any], head: str) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for one in told["held"]["reliability"][head]:
            came = f"{one['true']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
            yield (
                f"{one['from']:.1f} to {one['to']:.1f}",
                str(one["n"]),
                f"{one['stated']:.3f}",
                came,
            )

    return _table(("stated", "messages", "mean stated", "came true"), rows())


def _before(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        held, before = told["held"]["at"], told["before"]
        tried = {
            "all, as they are": held,
            "all, with strangers' words before": before["all, with strangers' words before"],
            "all, with nothing before": before["all, without anything before"],
            "those with something before": before["with what was said before"],
            "the same, without it": before["without it"],
        }
        for name, at in tried.items():
            parts = at["2%"]["operational"]
            concern = at["2%"]["concern"]["concern"]
            yield (
                name,
                _share(parts["operational"]),
                _share(parts["social, hard"]),
                _share(concern),
            )

    return _table(("held half", "operational found", "hard social flagged", "concern"), rows())


def _elsewhere(told: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        others, real = told["other writers"]["at"], told["real messages"]
        for name in ("operational", "social, hard", "social, easy"):
            cells = [_share(others[limit]["operational"][name]) for limit in ("2%", "0.5%")]
            yield (f"other writers: {name}", str(others["2%"]["operational"][name]["n"]), *cells)
        cells = [_share(others[limit]["concern"]["concern"]) for limit in ("2%", "0.5%")]
        yield ("other writers: of concern", str(others["2%"]["concern"]["concern"]["n"]), *cells)
        for head in ("operational", "concern"):
            cells = [
                f"{1000 * real[limit][head]['share']:.1f} in 1,000" for limit in ("2%", "0.5%")
            ]
            yield (f"real text messages, taken for {head}", str(real["messages"]), *cells)

    return _table(("messages", "of", "at 2 %", "at 0.5 %"), rows())


MAKERS = {
    "rivals": _rivals,
    "at": _at,
    "decided": _decided,
    "curve": _curve,
    "operational": lambda told: _kinds(told, "operational"),
    "social": lambda told: _kinds(told, "social"),
    "concern": lambda told: _kinds(told, "concern"),
    "mistaken": lambda told: _kinds(told, "social taken for concern"),
    "groups": _groups,
    "reliable": lambda told: _reliability(told, "operational"),
    "reliable_concern": lambda told: _reliability(told, "concern"),
    "before": _before,
    "elsewhere": _elsewhere,
}


def main() -> int:
    """Renew the document's tables."""
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(renewed(document, told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
