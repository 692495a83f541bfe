"""Keeps operational talk in the rooms that are built for it, and proves that it did."""

__version__ = "0.1.0"
