"""The format `mattermost`, for an incoming webhook of Mattermost: `{"text"}`."""

import json

from guestbook.formats import layout, words
from guestbook.formats.told import Told

LIMIT = 16_383  # characters of a post
APART = "\u200b"  # a zero-width space
# Mattermost looks for @channel in the text itself, where a backslash would not hide it; &#64; is an @ too.
ESCAPES = str.maketrans(
    {letter: "\\" + letter for letter in "\\*_~`|>#[]"} | {"@": "@" + APART, "&": "&" + APART}
)


def render(told: Told) -> str:
    """Return the body."""
    said = words.of(told.event, told.data)
    return json.dumps({"text": layout.lines(said, ESCAPES, limit=LIMIT, title="**{}**")}, ensure_ascii=False)
