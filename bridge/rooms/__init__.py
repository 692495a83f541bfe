"""The rooms themselves and who belongs in them, kept as they were approved.

Never holds code of its own: its modules are parts, each with its own place in ARCHITECTURE.md.
"""
