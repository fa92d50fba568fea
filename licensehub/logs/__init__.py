"""What each line of the logs carries, and what none may contain."""
