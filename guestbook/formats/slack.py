"""The format `slack`, for an incoming webhook of Slack: `{"text"}`."""

import json
from dataclasses import replace

from guestbook.formats import layout, words
from guestbook.formats.told import Told

LIMIT = 40_000  # characters of a text; what is longer Slack cuts, in the middle of an escape too
# These three and no others, says Slack. It ends <!channel>, <@U…> and <url|words> as well.
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(told: Told) -> str:
    """Return the body."""
    said = words.of(told.event, told.data)
    said = replace(said, link=said.link.translate(ESCAPES))
    return json.dumps({"text": layout.lines(said, ESCAPES, limit=LIMIT, title="*{}*")}, ensure_ascii=False)
