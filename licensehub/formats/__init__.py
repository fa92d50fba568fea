"""The formats of days, times and numbers in each language. `licensehub/ui/formatting.py` uses these names.

It has our own names beside Django's: a template writes `{{ moment|date:"DATETIME_FORMAT" }}`.
"""
