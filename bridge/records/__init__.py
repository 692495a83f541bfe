"""What people do with the record: check it, read it, keep it, forget it, save it from loss.

Never part of the bot: these run where a custodian, an auditor or an administrator sits.
"""
