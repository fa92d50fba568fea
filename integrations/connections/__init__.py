"""One connection to a vendor: how it is made, its tokens, its state, and whether it works."""
