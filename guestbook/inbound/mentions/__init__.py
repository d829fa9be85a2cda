"""Webmentions that others send us (W3C): a page tells that it links to the book, and the pass reads it."""
