"""Stored requests of bins: check their signatures, send them again."""
