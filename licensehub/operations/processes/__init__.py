"""What runs inside of the workers and of the scheduler, so that others can see how they are."""
