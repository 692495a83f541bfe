"""Finds in a text what the rules of a policy look for.

Never does I/O, reads a clock, or decides what happens to a message.
"""
