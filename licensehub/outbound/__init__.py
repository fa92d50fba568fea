"""Calls to other machines: deadlines, checked addresses, and sessions without surprises. It knows no model."""
