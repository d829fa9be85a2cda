"""Pages of the web, as text and links."""
