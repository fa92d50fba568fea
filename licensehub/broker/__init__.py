"""Messages between the processes: signed, and dropped if they cannot be read."""
