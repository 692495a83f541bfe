"""Measures Blue Lamp beside a peer that does the least that would do; `make bench`.

Never part of the installed program, and never compared with a run of another day.
"""
