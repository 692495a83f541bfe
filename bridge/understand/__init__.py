"""Understands what a message is about where it names nothing: the small model and what feeds it.

Never learns: what makes the model is `training/`, and what it needs is not installed with the bot.
"""
