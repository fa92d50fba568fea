"""The code inside of the workers and the scheduler that reports how they are."""
