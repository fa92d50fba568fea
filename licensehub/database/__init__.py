"""The database itself: its clock, the rights of its users, and whether its tables are those of this version."""
