"""The inbox: webhooks that others send us are stored at once, and worked through by the pass."""
