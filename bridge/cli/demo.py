"""`bluelamp demo`."""


def demo() -> None:
    """Soon."""
