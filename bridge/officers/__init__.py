"""What officers say to the bot, and what they are answered: appeals, commands, the brake.

Never holds code of its own: its modules are parts, each with its own place in ARCHITECTURE.md.
"""
