"""The data that is held on one person: export all of it, or erase it."""
