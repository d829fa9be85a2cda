"""The format `ntfy`, for the root of an ntfy server: `{"topic", "title", "message", "click"}`."""

import json
from dataclasses import replace

from guestbook.outbound.formats import chat_urls, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput

NTFY_LIMIT = 4096  # bytes of a message
NTFY_TITLE_LIMIT = 1024  # bytes


def render(given: FormatInput) -> str:
    """Return the body, for the topic that the webhook's URL names."""
    words = wording.of(given.event, given.data)
    rest = replace(words, title="", link="")
    body = {
        "topic": chat_urls.topic(given.url),
        "title": text_limit.cut(words.title, str, NTFY_TITLE_LIMIT, text_limit.utf8),
        "message": text_limit.lines(rest, str, limit=NTFY_LIMIT, size=text_limit.utf8),
    }
    click = {"click": words.link} if words.link else {}
    button = [{"action": "view", "label": words.button, "url": words.link}] if words.button else []
    return json.dumps(body | click | ({"actions": button} if button else {}), ensure_ascii=False)
