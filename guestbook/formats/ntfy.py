"""The format `ntfy`, for the root of a server of ntfy: `{"topic", "title", "message", "click"}`."""

import json

from guestbook.formats import layout, places, words
from guestbook.formats.told import Told

LIMIT = 4096  # bytes of a message
TITLE_LIMIT = 1024  # bytes


def render(told: Told) -> str:
    """Return the body, for the topic that the webhook's URL names."""
    said = words.of(told.event, told.data)
    unsaid = words.Words("", said.who, said.message)
    body = {
        "topic": places.topic(told.url),
        "title": layout.cut(said.title, str, TITLE_LIMIT, layout.utf8),
        "message": layout.lines(unsaid, str, limit=LIMIT, size=layout.utf8),
    }
    return json.dumps(body | ({"click": said.link} if said.link else {}), ensure_ascii=False)
