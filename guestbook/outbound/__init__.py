"""Webhooks that we send: from an event to the attempts of its deliveries."""
