"""The system checks of the project, by what they look at."""
