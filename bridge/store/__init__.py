"""Where facts are kept. Each module keeps the promises of `ports.Store`.

Never decides anything and never talks to Matrix.
"""
