"""The format `ntfy`, for the root of a server of ntfy: `{"topic", "title", "message", "click"}`."""

import json

from guestbook.outbound.formats import chat_urls, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput

LIMIT = 4096  # bytes of a message
TITLE_LIMIT = 1024  # bytes


def render(told: FormatInput) -> str:
    """Return the body, for the topic that the webhook's URL names."""
    said = wording.of(told.event, told.data)
    unsaid = wording.Wording("", said.who, said.message)
    body = {
        "topic": chat_urls.topic(told.url),
        "title": text_limit.cut(said.title, str, TITLE_LIMIT, text_limit.utf8),
        "message": text_limit.lines(unsaid, str, limit=LIMIT, size=text_limit.utf8),
    }
    return json.dumps(body | ({"click": said.link} if said.link else {}), ensure_ascii=False)
