"""The format `teams`, for a workflow of Microsoft Teams: a message with an Adaptive Card 1.2.

A TextBlock reads Markdown; a TextRun does not.
"""

import json
from typing import Any

from guestbook.outbound.formats import text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.wording import Wording

LIMIT = 28_000  # bytes of the whole body


def render(told: FormatInput) -> str:
    """Return the body."""
    said = wording.of(told.event, told.data)
    room = LIMIT - text_limit.utf8(_body(said, wording.MORE))
    return _body(said, text_limit.cut(said.message, str, room, _written))


def _body(said: Wording, message: str) -> str:
    texts = [said.title, said.who, message]
    blocks = [_block(text) for text in texts if text]
    blocks[0]["inlines"][0]["weight"] = "Bolder"
    card = {"type": "AdaptiveCard", "version": "1.2", "body": blocks}
    if said.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Look", "url": said.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False)


def _block(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


def _written(text: str) -> int:
    """Return how many bytes it has as JSON, without the quotes."""
    return text_limit.utf8(json.dumps(text, ensure_ascii=False)) - 2
