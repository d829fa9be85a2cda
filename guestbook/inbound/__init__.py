"""Webhooks that others send us: stored at once, processed by the pass. Sources and bins, too."""
