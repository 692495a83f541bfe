"""What is done about a message: moved, taken out, told, put back; and what becomes of old ones.

Never holds code of its own: its modules are parts, each with its own place in ARCHITECTURE.md.
"""
