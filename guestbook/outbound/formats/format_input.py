"""What a format is told: the event, and what it has to know of the webhook."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FormatInput:
    """An event for one webhook, or for all to which the same is told."""

    event: str
    moment: datetime  # when it happened
    data: dict[str, Any]
    url: str = ""  # of the webhook
    template: str | None = None  # its text


class FormatError(Exception):
    """Why there can be no body, in one sentence."""
