"""What a format makes a body from: the event, and some of the webhook's settings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FormatInput:
    """An event for one webhook, or for all webhooks that get the same body."""

    event: str
    happened_at: datetime
    data: dict[str, Any]
    url: str = ""  # of the webhook
    template: str | None = None  # its text


class FormatError(Exception):
    """Why there can be no body, in one sentence."""
