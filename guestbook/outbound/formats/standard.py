"""The format `json`: the body that Standard Webhooks 1.0.0 recommends."""

import json

from guestbook.lib import clock
from guestbook.outbound.formats.format_input import FormatInput


def render(given: FormatInput) -> str:
    """Return `{"type", "timestamp", "data"}`; the timestamp is the time of the event."""
    body = {"type": given.event, "timestamp": clock.to_text(given.happened_at), "data": given.data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
