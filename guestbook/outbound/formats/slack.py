"""The format `slack`, for an incoming webhook of Slack: `{"text", "blocks"}`.

Slack shows the block, where no character is markup. The text beside it is for notifications, and for other
services that take Slack's webhooks but know no blocks.
"""

import json
import re
from dataclasses import replace
from typing import Any

from guestbook.outbound.formats import text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.wording import Wording

SLACK_LIMIT = 40_000  # characters of a text; Slack cuts a longer one, even within an escape
BLOCK_LIMIT = 12_000  # UTF-16 units of a message in a block; Slack refuses blocks of 13,200 characters in all
ELEMENT_LIMIT = 3000  # characters of one text, as in Slack's text objects
PIECE = re.compile(rf".{{1,{ELEMENT_LIMIT - 1}}}(?:\s|\Z)|.{{1,{ELEMENT_LIMIT}}}", re.DOTALL)
# Slack asks for these three. They also prevent <!channel>, <@U…> and <url|words>.
HTML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(given: FormatInput) -> str:
    """Return the body. Nothing in it is markup, and its links get no preview."""
    words = wording.of(given.event, given.data)
    text = text_limit.lines(replace(words, link=_escape(words.link)), _escape, limit=SLACK_LIMIT)
    body = {"text": text, "mrkdwn": False, "blocks": _blocks(words), "unfurl_links": False}
    return json.dumps(body | {"unfurl_media": False}, ensure_ascii=False)


def _escape(text: str) -> str:
    return text.translate(HTML_ESCAPES)


def _blocks(words: Wording) -> list[dict[str, Any]]:
    """Return the message, and below it a button if the link does something. Anybody may press it."""
    if not words.button:
        return [_block(words)]
    button = {"type": "button", "text": {"type": "plain_text", "text": words.button}, "url": words.link}
    return [_block(replace(words, link="")), {"type": "actions", "elements": [button]}]


def _block(words: Wording) -> dict[str, Any]:
    message = text_limit.cut(words.message, str, BLOCK_LIMIT, text_limit.utf16)
    plain = "".join(f"\n{part}" for part in (words.who, message) if part)
    elements = [{"type": "text", "text": words.title, "style": {"bold": True}}]
    elements += [{"type": "text", "text": piece} for piece in PIECE.findall(plain)]
    if words.link:
        elements += [{"type": "text", "text": "\n"}, {"type": "link", "url": words.link}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}
