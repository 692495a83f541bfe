"""The way of one message: read, judged, put on record, and what is owed for it.

Never holds code of its own: its modules are parts, each with its own place in ARCHITECTURE.md.
"""
