"""A throw-away force: a homeserver, people and a scripted shift, to show and test the rest with.

Never used by the bot itself, and never fit for real people or real messages.
"""
