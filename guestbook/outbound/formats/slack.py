"""The format `slack`, for an incoming webhook of Slack: `{"text", "blocks"}`.

Slack shows the block, in which text is text: no character of it is markup. The text beside it is for
notifications, and for services that take Slack's webhooks and know no blocks.
"""

import json
import re
from dataclasses import replace
from typing import Any

from guestbook.outbound.formats import text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.wording import Wording

LIMIT = 40_000  # characters of a text; what is longer Slack cuts, in the middle of an escape too
BLOCK_LIMIT = 12_000  # UTF-16 units of a message in a block; Slack refuses blocks of 13,200 characters in all
ELEMENT_LIMIT = 3000  # characters of one text, as in Slack's text objects
PIECE = re.compile(rf".{{1,{ELEMENT_LIMIT - 1}}}(?:\s|\Z)|.{{1,{ELEMENT_LIMIT}}}", re.DOTALL)
# These three and no others, says Slack. It ends <!channel>, <@U…> and <url|words> as well.
ESCAPE = text_limit.translated(str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"}))


def render(told: FormatInput) -> str:
    """Return the body; nothing in it is markup, and no link brings a preview along."""
    said = wording.of(told.event, told.data)
    text = text_limit.lines(replace(said, link=ESCAPE(said.link)), ESCAPE, limit=LIMIT)
    body = {"text": text, "mrkdwn": False, "blocks": [_block(said)], "unfurl_links": False}
    return json.dumps(body | {"unfurl_media": False}, ensure_ascii=False)


def _block(said: Wording) -> dict[str, Any]:
    message = text_limit.cut(said.message, str, BLOCK_LIMIT, text_limit.utf16)
    plain = "".join(f"\n{part}" for part in (said.who, message) if part)
    elements = [{"type": "text", "text": said.title, "style": {"bold": True}}]
    elements += [{"type": "text", "text": piece} for piece in PIECE.findall(plain)]
    if said.link:
        elements += [{"type": "text", "text": "\n"}, {"type": "link", "url": said.link}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}
