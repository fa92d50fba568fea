"""Facts about this installation as a whole: whose database it is, and what an operator must repair."""
