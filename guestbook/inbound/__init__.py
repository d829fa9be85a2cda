"""Webhooks that others send to us: stored at once, processed by the pass. Also sources and bins."""
