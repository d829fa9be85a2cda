"""The doors, asked as a visitor asks them."""
