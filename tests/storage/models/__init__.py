"""The rules of the rows."""
