"""The format `telegram`, for the method sendMessage of a bot of Telegram: `{"chat_id", "text"}`."""

import json
import re

from guestbook.outbound.formats import chat_urls, literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput

LIMIT = 4096  # UTF-16 units
NUMBER = re.compile(r"-?[0-9]{1,18}")
# Without a parse_mode there is no markup, but @name tells whoever has that name, and #word, $WORD and /word
# become links.
SPECIAL = re.compile(rf"{literal_text.WEB}|(?<![^\W_])(?<!/)[@#$/](?=\w)", re.IGNORECASE)


def render(told: FormatInput) -> str:
    """Return the body, for the chat that the webhook's URL names; its links bring no preview along."""
    chat = chat_urls.chat(told.url)
    text = text_limit.lines(wording.of(told.event, told.data), _escape, limit=LIMIT, size=text_limit.utf16)
    body = {"chat_id": int(chat) if NUMBER.fullmatch(chat) else chat, "text": text}
    return json.dumps(body | {"link_preview_options": {"is_disabled": True}}, ensure_ascii=False)


def _escape(text: str) -> str:
    return SPECIAL.sub(lambda match: match[0] + (literal_text.APART if len(match[0]) == 1 else ""), text)
