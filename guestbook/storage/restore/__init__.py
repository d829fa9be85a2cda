"""A backup becomes the book: it is verified and brought up to date, then put in place at once."""
