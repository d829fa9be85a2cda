"""The page about spam."""
