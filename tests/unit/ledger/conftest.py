"""What the ledger's tests share."""

from tests.unit.ledger.place import place

__all__ = ["place"]
