"""The format `discord`, for a webhook of Discord: `{"content", "allowed_mentions", "flags"}`."""

import json
import re

from guestbook.outbound.formats import literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput

LIMIT = 2000  # characters; an emoji is counted as two, which is right for whoever counts UTF-16
SUPPRESS_EMBEDS = 4  # a flag of Discord's messages: no link brings a preview along
# Markdown is live in what a webhook says. < is for <@id>, <#id> and <t:…>, a colon for :emoji:.
SPECIAL = r"[\\*_~`|><#\[\]@]|:(?!\s)"


def render(told: FormatInput) -> str:
    """Return the body; whatever the text says, it mentions nobody, and its links bring no preview along."""
    said = wording.of(told.event, told.data)
    content = text_limit.lines(said, ESCAPE, limit=LIMIT, size=text_limit.utf16, title=_title, link="<{}>")
    body = {"content": content, "allowed_mentions": {"parse": []}, "flags": SUPPRESS_EMBEDS}
    return json.dumps(body, ensure_ascii=False)


def _title(text: str) -> str:
    return f"**{ESCAPE_IN_TITLE(text)}**"


def _special(match: re.Match[str]) -> str:
    return "\\" + match[0]


ESCAPE = literal_text.escaper(literal_text.WEB, SPECIAL, _special)
ESCAPE_IN_TITLE = literal_text.without_urls(SPECIAL, _special)
