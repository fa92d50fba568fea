"""Miro's REST API: its client, the pages of its lists, the teams and the audit log."""
