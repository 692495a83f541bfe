"""`python -m bridge` is `bluelamp`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from bridge.cli.main import main as run  # noqa: PLC0415 - so that --help starts quickly

    sys.exit(run())


if __name__ == "__main__":
    main()
