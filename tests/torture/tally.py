"""What the torture families found, gathered for one table at the end of a run.

Never decides whether a test passes: each family asserts for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = ("family", "tried", "undetected", "lost", "controls lost")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What one family of tests did; None where a question does not arise in it."""

    family: str
    tried: int
    #: Changes that verify did not notice.
    undetected: int | None = None
    #: Times that something acknowledged was gone, or the ledger could not go on.
    lost: int | None = None
    #: The same of runs that had to lose something, and how many there were.
    controls: tuple[int, int] | None = None
    #: Figures that belong beside the row.
    remark: str = ""


#: Everything that this run has told so far.
TOLD: list[Tally] = []


def tell(tally: Tally) -> None:
    TOLD.append(tally)


def table(tallies: list[Tally]) -> list[str]:
    """Return the lines of the table."""
    rows = [HEAD, *(_row(tally) for tally in tallies)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    lines = []
    for place, row in enumerate(rows):
        cells = (
            row[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
        )
        remark = tallies[place - 1].remark if place else ""
        lines.append("  ".join(cells) + (f"  {remark}" if remark else ""))
    return lines


def _row(tally: Tally) -> tuple[str, ...]:
    lost, of = tally.controls or (0, 0)
    return (
        tally.family,
        f"{tally.tried:,}",
        "-" if tally.undetected is None else str(tally.undetected),
        "-" if tally.lost is None else str(tally.lost),
        f"{lost} of {of}" if tally.controls else "-",
    )
