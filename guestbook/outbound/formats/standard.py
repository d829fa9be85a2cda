"""The format `json`: the body that Standard Webhooks 1.0.0 recommends."""

import json

from guestbook.lib import clock
from guestbook.outbound.formats.format_input import FormatInput


def render(told: FormatInput) -> str:
    """Return `{"type", "timestamp", "data"}`; the timestamp is when the event happened."""
    body = {"type": told.event, "timestamp": clock.to_text(told.moment), "data": told.data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
