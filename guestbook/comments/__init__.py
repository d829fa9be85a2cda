"""Comments: sign the book, moderate, reply; the form and the spam rules."""
