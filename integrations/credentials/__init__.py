"""The credentials of the connections. They are stored encrypted."""
