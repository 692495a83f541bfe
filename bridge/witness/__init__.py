"""The witness: another host that remembers how far a ledger had come, and says so under its key.

Never knows what a record is: it sees sizes, roots and proofs. A stranger to matrix/ and store/, as
it should run where the bot does not. The bot's side of it (`client`) is here as well.
https://c2sp.org/tlog-witness
"""
