"""What the bot does by the clock: sweeping, asking witnesses, publishing checkpoints.

Never the way of a message: that is pipeline, settle and enforce.
"""
