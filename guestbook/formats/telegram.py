"""The format `telegram`, for the method sendMessage of a bot of Telegram: `{"chat_id", "text"}`."""

import json
import re

from guestbook.formats import layout, places, words
from guestbook.formats.told import Told

LIMIT = 4096  # UTF-16 units
NUMBER = re.compile(r"-?[0-9]{1,18}")
# Without a parse_mode there is no markup, but @name tells whoever has that name.
ESCAPES = str.maketrans({"@": "@\u200b"})


def render(told: Told) -> str:
    """Return the body, for the chat that the webhook's URL names."""
    chat = places.chat(told.url)
    text = layout.lines(words.of(told.event, told.data), ESCAPES, limit=LIMIT, size=layout.utf16)
    body = {"chat_id": int(chat) if NUMBER.fullmatch(chat) else chat, "text": text}
    return json.dumps(body, ensure_ascii=False)
