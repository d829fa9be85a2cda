"""The format `discord`, for a webhook of Discord: `{"content", "allowed_mentions"}`."""

import json

from guestbook.formats import layout, words
from guestbook.formats.told import Told

LIMIT = 2000  # characters; an emoji is counted as two, which is right for whoever counts UTF-16
# Markdown is live in what a webhook says. The < is for <@id>, <#id> and <t:…>.
ESCAPES = str.maketrans({letter: "\\" + letter for letter in "\\*_~`|><#[]"})


def render(told: Told) -> str:
    """Return the body; whatever the text says, it mentions nobody, and its link brings no preview along."""
    said = words.of(told.event, told.data)
    content = layout.lines(said, ESCAPES, limit=LIMIT, size=layout.utf16, title="**{}**", link="<{}>")
    return json.dumps({"content": content, "allowed_mentions": {"parse": []}}, ensure_ascii=False)
