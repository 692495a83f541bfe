"""Puts the parts together, starts and stops them, and takes orders while they run.

Never holds code of its own: its modules are parts, each with its own place in ARCHITECTURE.md.
"""
