"""Measure speed and memory, as ratios to a limit that is measured in the same run: `make benchmark`.

`rows` has a module for each row of the table. The modules here are what the rows share.
"""
