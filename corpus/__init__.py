"""Invented messages of invented people, labelled by hand, and what checks them.

Never a part of the bot: nothing in `bridge/` imports it.
"""
