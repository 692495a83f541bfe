"""What auditors see: the record in a browser, each person under their own name.

Never handed a way to the rooms: it reads the ledger, and writes its consultation ledger only.
"""
