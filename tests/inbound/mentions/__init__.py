"""Webmentions that others send us."""
