"""The format `teams`, for a workflow of Microsoft Teams: a message with an Adaptive Card 1.2.

A TextBlock reads Markdown; a TextRun does not.
"""

import json
from typing import Any

from guestbook.outbound.formats import text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.wording import Wording

TEAMS_LIMIT = 28_000  # bytes of the whole body


def render(given: FormatInput) -> str:
    """Return the body."""
    words = wording.of(given.event, given.data)
    room = TEAMS_LIMIT - text_limit.utf8(_body(words, wording.MORE))
    return _body(words, text_limit.cut(words.message, str, room, _json_size))


def _body(words: Wording, message: str) -> str:
    texts = [words.title, words.who, message]
    blocks = [_block(text) for text in texts if text]
    blocks[0]["inlines"][0]["weight"] = "Bolder"
    card = {"type": "AdaptiveCard", "version": "1.2", "body": blocks}
    if words.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": words.button or "Look", "url": words.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False)


def _block(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


def _json_size(text: str) -> int:
    """Return how many bytes the text has as JSON, without the quotes."""
    return text_limit.utf8(json.dumps(text, ensure_ascii=False)) - 2
