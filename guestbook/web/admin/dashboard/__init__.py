"""The first page and its chart."""
