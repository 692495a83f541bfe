"""The command line: one clear sentence for each thing that goes wrong, and an exit code.

Never holds anything that another part could need: it reads options, calls, and shows.

Exit codes: 0 done · 1 what was asked is not so · 2 done with a warning · 3 used wrongly or
misconfigured · 4 the other side failed.
"""
