"""Mails about accounts: changes of rights, and API tokens."""
