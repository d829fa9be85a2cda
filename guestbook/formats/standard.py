"""The format `json`: the body that Standard Webhooks 1.0.0 recommends."""

import json
from datetime import datetime
from typing import Any

from guestbook import clock


def render(event: str, moment: datetime, data: dict[str, Any]) -> str:
    """Return `{"type", "timestamp", "data"}`; the timestamp is when the event happened."""
    body = {"type": event, "timestamp": clock.to_text(moment), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
