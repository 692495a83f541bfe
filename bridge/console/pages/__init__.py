"""The pages, by what people come for.

Never served but through `bridge.console.guard`, which knows what each takes.
"""
