"""Makes the small model of `bridge/understand/` from the corpus: `make model`.

Never part of the bot: what this needs (torch, transformers) is installed only for it, and nothing
in `bridge/` imports it.
"""
