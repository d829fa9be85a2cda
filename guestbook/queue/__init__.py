"""The queue in a table, the same for deliveries and inbound events."""
