"""The book: sign it, moderate it, reply; the form and the spam rules."""
