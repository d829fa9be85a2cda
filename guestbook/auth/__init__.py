"""Access: the owner's login, tokens of the API, rate limits."""
