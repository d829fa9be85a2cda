"""The format `telegram`, for the method sendMessage of a bot of Telegram: `{"chat_id", "text"}`."""

import json
import re
from typing import Any

from guestbook.outbound.formats import chat_urls, literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput

TELEGRAM_LIMIT = 4096  # UTF-16 units
CHAT_NUMBER = re.compile(r"-?[0-9]{1,18}")
# Telegram refuses the whole message if a button leads to a host without a dot, such as localhost.
TELEGRAM_BUTTON = re.compile(r"https?://(?:[^/:.]+\.)+[^/:.]+[/:]")
# Without a parse_mode there is no markup. But @name notifies the person of that name, and #word, $WORD and
# /word become links.
LINKED = re.compile(rf"{literal_text.WEB}|(?<![^\W_])(?<!/)[@#$/](?=\w)", re.IGNORECASE)


def render(given: FormatInput) -> str:
    """Return the body, for the chat that the webhook's URL names. Its links get no preview."""
    chat = chat_urls.chat(given.url)
    words = wording.of(given.event, given.data)
    text = text_limit.lines(words, _escape, limit=TELEGRAM_LIMIT, size=text_limit.utf16)
    body: dict[str, Any] = {"chat_id": int(chat) if CHAT_NUMBER.fullmatch(chat) else chat, "text": text}
    body |= {"link_preview_options": {"is_disabled": True}}
    if words.button and TELEGRAM_BUTTON.match(words.link):
        body["reply_markup"] = {"inline_keyboard": [[{"text": words.button, "url": words.link}]]}
    return json.dumps(body, ensure_ascii=False)


def _escape(text: str) -> str:
    return LINKED.sub(lambda match: match[0] + (literal_text.APART if len(match[0]) == 1 else ""), text)
