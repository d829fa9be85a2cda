"""The format `discord`, for a webhook of Discord: `{"content", "allowed_mentions", "flags"}`."""

import json

from guestbook.outbound.formats import literal_text, text_limit, wording
from guestbook.outbound.formats.format_input import FormatInput
from guestbook.outbound.formats.literal_text import Markdown

DISCORD_LIMIT = 2000  # characters; an emoji counts as two, to be safe however Discord counts
SUPPRESS_EMBEDS = 4  # a flag of Discord's messages: links get no preview
# Discord reads Markdown. "<" begins <@id>, <#id> and <t:…>, a colon begins :emoji:.
DISCORD_MARKDOWN = Markdown(r"[\\*_~`|><#\[\]@]|:(?!\s)", lambda match: "\\" + match[0], literal_text.WEB)


def render(given: FormatInput) -> str:
    """Return the body. It mentions nobody, whatever the text says, and its links get no preview."""
    content = text_limit.lines(
        wording.of(given.event, given.data),
        DISCORD_MARKDOWN.text,
        limit=DISCORD_LIMIT,
        size=text_limit.utf16,
        title=DISCORD_MARKDOWN.bold,
        link="<{}>",
    )
    body = {"content": content, "allowed_mentions": {"parse": []}, "flags": SUPPRESS_EMBEDS}
    return json.dumps(body, ensure_ascii=False)
