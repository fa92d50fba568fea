"""The profiles for which the roles of an account hold, and the rows that a page therefore shows."""
