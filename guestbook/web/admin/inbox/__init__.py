"""The pages of inbound events."""
