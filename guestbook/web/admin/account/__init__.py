"""The account pages: password, logins, tokens."""
