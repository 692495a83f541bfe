"""The way to the rooms: everything that knows what Matrix looks like.

Never decides what should happen to a message, and never writes to the store.
"""
