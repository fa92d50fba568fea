"""Everything about an installation that can be checked, each with what to do next."""
