"""The page of the events that webhooks can get."""
