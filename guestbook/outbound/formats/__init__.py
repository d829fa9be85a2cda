"""Make the body of a request from an event: `json` for programs, the other formats for chats. Pure."""

from collections.abc import Callable
from typing import Any

from guestbook.outbound.formats import bodies, chats
from guestbook.outbound.formats.bodies import FormatError, FormatInput

__all__ = ["ADDRESSED", "CHAT_FORMATS", "FORMATS", "FormatError", "FormatInput", "concerns", "render"]

FORMATS: dict[str, Callable[[FormatInput], str]] = {
    "json": bodies.standard,
    "slack": chats.slack,
    "discord": chats.discord,
    "teams": chats.teams,
    "mattermost": chats.mattermost,
    "ntfy": chats.ntfy,
    "telegram": chats.telegram,
    "email": bodies.email,
    "webmention": bodies.webmention,
    "template": bodies.template,
}
OTHER_FORMATS = ("json", "email", "webmention", "template")
CHAT_FORMATS = tuple(name for name in FORMATS if name not in OTHER_FORMATS)
ADDRESSED = ("ntfy", "telegram")  # their bodies contain a part of the webhook's URL


def concerns(name: str, event: str, data: dict[str, Any]) -> bool:
    """Whether a webhook with this format gets the event at all."""
    return name != "webmention" or bodies.website_of(event, data) is not None


def render(name: str, given: FormatInput) -> str:
    """Return the exact body, which is JSON, in the format of that name; raises FormatError."""
    return FORMATS[name](given)
