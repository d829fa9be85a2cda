"""The pages of bins and their requests."""
