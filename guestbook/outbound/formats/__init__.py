"""From an event to the body that a receiver wants: `json` for programs, the others for chats. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from guestbook.outbound.formats import discord, mattermost, ntfy, slack, standard, teams, telegram, template
from guestbook.outbound.formats.format_input import FormatError, FormatInput

__all__ = ["ADDRESSED", "FORMATS", "FormatError", "FormatInput", "render"]

FORMATS: dict[str, Callable[[FormatInput], str]] = {
    "json": standard.render,
    "slack": slack.render,
    "discord": discord.render,
    "teams": teams.render,
    "mattermost": mattermost.render,
    "ntfy": ntfy.render,
    "telegram": telegram.render,
    "template": template.render,
}
ADDRESSED = ("ntfy", "telegram")  # whose body has in it what the webhook's URL says


def render(
    name: str,
    event: str,
    moment: datetime,
    data: dict[str, Any],
    *,
    url: str = "",
    template: str | None = None,
) -> str:
    """Return the exact body of the event, which is JSON, in the format of that name; raises FormatError."""
    return FORMATS[name](FormatInput(event, moment, data, url, template))
