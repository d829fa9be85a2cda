"""Make the body of a request from an event: `json` and `thin` for programs, the others for chats. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guestbook.outbound import response_policy
from guestbook.outbound.formats import bodies, chats
from guestbook.outbound.formats.bodies import FormatError, FormatInput

__all__ = ["ADDRESSED", "CHAT_FORMATS", "FORMATS", "FORMATS_WITH_LINKS", "FormatError", "FormatInput"]


@dataclass(frozen=True, slots=True)
class Format:
    """How a format makes its body, and what else depends on it."""

    make: Callable[[FormatInput], str | dict[str, Any]]
    is_chat: bool = False
    has_links: bool = False  # Links to moderate, unless the owner decides otherwise.
    uses_url: bool = False  # Its bodies contain a part of the webhook's URL.
    policy: response_policy.Policy = response_policy.standard  # It decides what answers mean.


# Whoever reads a message with a link to moderate can moderate. The formats with links go to people whom the
# owner has invited. A topic of ntfy is open to all who guess its name. Programs may store and pass on what
# they get.
FORMATS: dict[str, Format] = {
    "json": Format(bodies.standard),
    "thin": Format(bodies.thin),
    "slack": Format(chats.slack, is_chat=True, has_links=True, policy=response_policy.slack),
    "discord": Format(chats.discord, is_chat=True, has_links=True, policy=response_policy.discord),
    "teams": Format(chats.teams, is_chat=True, has_links=True),
    "mattermost": Format(chats.mattermost, is_chat=True, has_links=True),
    "ntfy": Format(chats.ntfy, is_chat=True, uses_url=True),
    "telegram": Format(
        chats.telegram, is_chat=True, has_links=True, uses_url=True, policy=response_policy.telegram
    ),
    "email": Format(bodies.email, has_links=True, policy=response_policy.email),
    "webmention": Format(bodies.webmention, policy=response_policy.webmention),
    "template": Format(bodies.template),
}
CHAT_FORMATS = tuple(name for name, one in FORMATS.items() if one.is_chat)
FORMATS_WITH_LINKS = tuple(name for name, one in FORMATS.items() if one.has_links)
ADDRESSED = tuple(name for name, one in FORMATS.items() if one.uses_url)


def concerns(name: str, event: str, data: dict[str, Any]) -> bool:
    """Whether a webhook with this format gets the event at all."""
    return name != "webmention" or bodies.website_of(event, data) is not None


def render(name: str, given: FormatInput) -> str:
    """Return the exact body, which is JSON, in the format of that name; raises FormatError."""
    body = FORMATS[name].make(given)
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
